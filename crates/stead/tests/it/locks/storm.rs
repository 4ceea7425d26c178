//! Many clients compete for one lock through all members while members are killed.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::crowd::{CLIENTS, Record};
use super::queue;
use crate::cluster::kit::Cluster;
use crate::testkit::{Connection, Request, Response, wait_until};

/// How often each client wants the lock.
const ROUNDS: usize = 6;

/// How many members are killed meanwhile, the leader every other time.
const KILLS: usize = 4;

/// How many turns are taken between two blows.
const TURNS_BETWEEN: usize = 20;

/// Nobody waits longer for anything; far above what is normal.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client that goes to the next member whenever one does not answer as it should.
struct Client<'a> {
    addrs: &'a [SocketAddr],
    at: usize,
    connection: Option<Connection>,
}

impl Client<'_> {
    /// Sends a request until a member answers it with one of the statuses.
    fn insist(&mut self, method: &'static str, request: &Request, wanted: &[u16]) -> Response {
        let end = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < end {
            match self.attempt(method, request, end) {
                Ok(answer) if wanted.contains(&answer.status()) => return answer,
                Ok(answer) => last = answer.text(),
                Err(error) => last = error.to_string(),
            }
            self.connection = None;
            self.at += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{method} was not answered within {PATIENCE:?}: {last}");
    }

    fn attempt(
        &mut self,
        method: &'static str,
        request: &Request,
        end: Instant,
    ) -> std::io::Result<Response> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.addrs[self.at % self.addrs.len()])?),
        };
        connection.within(end.saturating_duration_since(Instant::now()));
        connection.send(request)?;
        connection.response(method)
    }

    /// Holds the lock a few times. Whoever asks again with its value has its place again, so a
    /// member that dies costs nobody a turn.
    fn compete(&mut self, name: &str, number: usize, record: &Mutex<Record>) {
        let path = format!("/mod/v2/lock/{name}");
        for round in 0..ROUNDS {
            let ask = Request::post(&path, &format!("ttl=60&value=client-{number}-{round}"));
            let index: u64 = self.insist("POST", &ask, &[200]).text().parse().expect("an index");
            // The answer may be late; who holds it is asked when it is to be used.
            let read = Request::get(&format!("{path}?field=index"));
            assert_eq!(self.insist("GET", &read, &[200]).text(), index.to_string());
            {
                let mut record = record.lock().unwrap();
                assert_eq!(record.holder, None, "{index} was given while another holds it");
                record.holder = Some(index);
                record.held.push(index);
            }
            std::thread::sleep(Duration::from_millis(2));
            record.lock().unwrap().holder = None;
            // An attempt that was not answered may have been carried out.
            let release = Request::delete(&format!("{path}?index={index}"));
            self.insist("DELETE", &release, &[200, 404]);
        }
    }
}

fn turns(record: &Mutex<Record>) -> usize {
    record.lock().unwrap().held.len()
}

/// Kills members and brings them back, while turns are taken.
fn strike(cluster: &mut Cluster, record: &Mutex<Record>) {
    for blow in 0..KILLS {
        let before = turns(record);
        wait_until("turns are taken", PATIENCE, || turns(record) >= before + TURNS_BETWEEN);
        let leader = cluster.leader();
        let victim = if blow % 2 == 0 { leader } else { (leader + 1) % 3 };
        cluster.machines[victim].kill();
        let before = turns(record);
        wait_until("turns go on", PATIENCE, || turns(record) >= before + TURNS_BETWEEN);
        cluster.machines[victim].spawn();
        cluster.wait_formed(3);
    }
}

#[test]
fn fifty_clients_take_turns_while_members_are_killed() {
    let mut cluster = Cluster::start("lock-storm", 3, "");
    let addrs = cluster.addrs();
    let record = Mutex::new(Record::default());
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (addrs, record) = (&addrs, &record);
            scope.spawn(move || {
                Client { addrs, at: number, connection: None }.compete("storm", number, record);
            });
        }
        strike(&mut cluster, &record);
    });
    let record = record.into_inner().unwrap();
    assert_eq!(record.held.len(), CLIENTS * ROUNDS);
    assert!(record.held.is_sorted_by(|one, next| one < next), "out of turn: {:?}", record.held);
    assert_eq!(queue(addrs[0], "storm"), [], "somebody is left in the queue");
    cluster.wait_equal();
}
