//! The client's commands: what they print in a pipe, as JSON and on a terminal, with which exit code,
//! against one machine and several, with one that is dead and without a majority.

mod bench;
mod dev;
mod doctor;
mod encrypted;
mod etcdctl;
mod keys;
mod kit;
mod locking;
mod once;
mod several;
mod terminal;
mod watching;
