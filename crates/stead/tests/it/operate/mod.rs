//! What an operator and an HTTP client may rely on: starting, ending, damage, full disks, limits,
//! and the protocol around the key space.

mod before_v2;
mod counters;
mod damage;
mod dashboard;
mod data_dir;
mod disk_full;
mod endpoints;
mod history;
mod lifecycle;
mod limits;
mod pages;
mod process;
mod protocol;
mod reports;
mod second_listener;
mod streams;
mod supervised;
mod times;
mod wal_dir;
mod watching;
