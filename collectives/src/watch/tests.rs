//! Nodes of six ranks on two "hosts" in one process, over real sockets: hubs 0 and 3 of three ranks each, TCP on 127.0.0.1.

use super::secret::call;
use super::wire::{Came, Frame, Link, Reader, Stream};
use super::*;
use crate::failure::host;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

const LEFT: &str = "(left)";
const LIMIT: Duration = Duration::from_secs(20);

fn times() -> Times {
    let [grace, explained, answers, end, beat] = [50, 300_000, 1500, 10, 200].map(Duration::from_millis);
    Times { grace, explained, answers, end, beat }
}

/// A rank that says and does everything into a channel.
struct One {
    node: Arc<Node>,
    said: Receiver<String>,
}

impl One {
    fn new(me: u32, secret: Secret) -> One {
        let place = Place { me, size: 6, hub: me / 3 * 3, on_host: 3, below: me % 3 };
        let (send, said) = channel();
        let leave = send.clone();
        let voice = Voice {
            say: Box::new(move |what| drop(send.send(what.into()))),
            leave: Box::new(move || drop(leave.send(LEFT.into()))),
        };
        One { node: Node::new(place, secret, Duration::ZERO, times(), voice), said }
    }

    fn says(&self) -> String {
        self.said.recv_timeout(LIMIT).expect("it says something")
    }

    fn quiet(&self) -> bool {
        self.said.try_recv().is_err()
    }
}

/// The job without these ranks, before anybody has called; and where rank 0 listens.
fn job(without: &[u32]) -> (Vec<One>, SocketAddr, Secret) {
    let secret = Secret::random().unwrap();
    let (listener, address) = Listener::tcp(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
    let mut listener = Some(listener);
    let ones: Vec<One> = (0..6).filter(|r| !without.contains(r)).map(|rank| One::new(rank, secret)).collect();
    for one in &ones {
        let door = Door { listener: if one.node.place.me == 0 { listener.take() } else { None }, remark: None };
        one.node.open(Some(address), door);
    }
    (ones, address, secret)
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn connected(root: &One, members: usize) {
    until("all connect", || root.node.shared().members.len() == members);
}

fn print() -> Print {
    Print::new::<()>("barrier", [0; 2], std::panic::Location::caller())
}

fn all_wait_but_0(ones: &[One]) {
    ones[0].node.state.phase("count");
    ones[1..].iter().for_each(|one| one.node.state.waits(&print(), Duration::from_secs(60)));
}

#[test]
fn one_roll_call_for_the_job() {
    let (ones, ..) = job(&[]);
    connected(&ones[0], 5);
    all_wait_but_0(&ones);
    assert!(ones[5].node.ask(false), "a rank of the other host is heard");
    let said = ones[0].says();
    let lines: Vec<&str> = said.lines().collect();
    assert!(said.starts_with(&format!("a long wait, seen from {}:\n", host())), "{said}");
    let first = format!("  rank 0 on {} (process {}) is computing in phase \"count\"", host(), std::process::id());
    assert_eq!((lines.len(), lines[1]), (3, &*first), "{said}");
    assert!(lines[2].starts_with("  ranks 1-5 wait 6") && lines[2].contains(" s in barrier of ()"), "{said}");
    assert!(!ones[4].node.ask(true), "nobody is ended in a test");
    let said = ones[0].says();
    assert!(said.starts_with("a wait has lasted as long as PHYSALIA_STALL allows:\n  rank 0 on "), "{said}");
    ones.iter().for_each(|one| assert_eq!(one.says(), LEFT));
    assert!(ones.iter().all(One::quiet));
}

#[test]
fn a_job_ends_in_silence_and_no_thread_stays() {
    let (ones, ..) = job(&[]);
    connected(&ones[0], 5);
    for i in [4, 0, 5, 3, 1, 2] {
        ones[i].node.goodbye();
    }
    for one in &ones {
        until("its threads end", || Arc::strong_count(&one.node) == 1);
        assert!(one.quiet());
        assert!(!one.node.shared().members.values().any(|m| m.fate == Some(table::What::Gone)));
    }
    // And one that ends before anybody has called.
    let (ones, ..) = job(&[4]);
    ones.iter().for_each(|one| one.node.goodbye());
    for one in &ones {
        until("its threads end", || Arc::strong_count(&one.node) == 1);
        assert!(one.quiet());
    }
}

/// A rank of the other host that is not there; `call` makes it come.
fn caller(address: SocketAddr, secret: Secret) -> Link {
    let link = call(Stream::Tcp(TcpStream::connect(address).unwrap()), &secret, 3).unwrap();
    assert!(link.send(&Frame::Here { host: "n2".into(), pid: 77 }));
    assert!(link.send(&Frame::Joined { rank: 4, host: "n2".into(), pid: 78 }));
    link
}

#[test]
fn a_rank_that_is_gone_is_named_and_ends_the_job() {
    for far in [false, true] {
        let (ones, address, secret) = job(&[3, 4, 5]);
        let hub = caller(address, secret);
        connected(&ones[0], 4);
        let words = if far {
            hub.send(&Frame::Gone { rank: 4 });
            "rank 4 on n2 (process 78) is gone without a goodbye".into()
        } else {
            ones[2].node.shared().up.as_ref().unwrap().close(); // as the system does for a process that ends
            format!("rank 2 on {} (process {}) is gone without a goodbye", host(), std::process::id())
        };
        let said = ones[0].says();
        assert!(said.starts_with(&words), "{said}");
        assert_eq!((ones[0].says(), ones[1].says()), (LEFT.into(), LEFT.into()));
        let mut reader = Reader::new(&hub);
        let told = |came| matches!(came, Came::Frame(Frame::End));
        assert!((0..9).any(|_| told(reader.next())), "the other host is told");
    }
}

#[test]
fn ranks_below_one_that_is_gone_end_too() {
    let (ones, ..) = job(&[]);
    connected(&ones[0], 5);
    let link = ones[3].node.shared().down[&4].clone();
    link.close();
    // Rank 4 cannot tell this from the death of rank 3, nor rank 3 from its: both are told of.
    let said = ones[4].says();
    assert!(said.starts_with(&format!("rank 3 on {} is gone", host())), "{said}");
    let said = ones[0].says();
    assert!(said.starts_with("rank 4 on "), "{said}");
}

#[test]
fn nobody_mourns_a_rank_that_has_said_why_it_ends_the_job() {
    let (ones, ..) = job(&[]);
    connected(&ones[0], 5);
    ones[5].node.explain();
    until("all know", || ones.iter().all(|one| one.node.shared().explained));
    ones[5].node.shared().up.as_ref().unwrap().close();
    until("it is seen", || ones[3].node.shared().down.len() == 1);
    std::thread::sleep(times().grace * 6);
    assert!(ones.iter().all(One::quiet));
}

#[test]
fn who_does_not_answer_is_named_and_left_in_peace() {
    let (ones, address, secret) = job(&[3, 4, 5]);
    let hub = caller(address, secret);
    connected(&ones[0], 4);
    all_wait_but_0(&ones);
    assert!(ones[1].node.ask(false));
    let mut all = [ones[0].says(), ones[0].says()];
    all.sort(); // first the roll-call
    assert!(all[0].contains("\n  ranks 3-4 do not answer (not heard of for "), "{all:?}");
    assert!(all[0].contains("\n  rank 5 is not connected"), "{all:?}");
    assert!(all[1].starts_with("the host of rank 3 on n2 (process 77) has not been heard of for "), "{all:?}");
    hub.send(&Frame::Pulse);
    assert!(ones[0].says().ends_with("the host of rank 3 is heard of again"));
    assert_ne!(ones[0].said.recv_timeout(times().grace * 4).as_deref(), Ok(LEFT));
}

#[test]
fn strangers_are_hung_up_on() {
    let (ones, address, secret) = job(&[5]);
    let mut open = Vec::new();
    for garbage in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"physalia watch 1", &[0xff; 4096]] {
        let mut stranger = TcpStream::connect(address).unwrap();
        stranger.write_all(garbage).ok();
        open.push(stranger); // and left open
    }
    let other = Secret::random().unwrap();
    assert!(call(Stream::Tcp(TcpStream::connect(address).unwrap()), &other, 5).is_err());
    // Who knows the secret, but is no rank of the job, or is there already, is sent away with a goodbye.
    connected(&ones[0], 4);
    for rank in [6, 0, 3] {
        let link = call(Stream::Tcp(TcpStream::connect(address).unwrap()), &secret, rank).unwrap();
        link.send(&Frame::Here { host: "n3".into(), pid: 1 });
        assert_eq!(Reader::new(&link).next(), Came::Frame(Frame::Bye), "{rank}");
    }
    let last = One::new(5, secret);
    last.node.open(Some(address), Door::default());
    connected(&ones[0], 5);
    until("nobody listens any more", || ones[0].node.shared().wake.is_empty());
    until("the port is closed", || TcpStream::connect(address).is_err());
    ones.iter().chain([&last]).for_each(|one| one.node.goodbye());
    assert!(ones.iter().all(One::quiet));
}

/// Half a frame, or none of ours, from one who knows the secret: the connection is given up, and nobody is taken for gone.
#[test]
fn a_connection_that_goes_wrong_is_no_death() {
    let (ones, address, secret) = job(&[3, 4, 5]);
    let hub = caller(address, secret);
    connected(&ones[0], 4);
    hub.stream.write_all(&[0xff; 8]).unwrap();
    let mut reader = Reader::new(&hub);
    let left = |came| matches!(came, Came::Frame(Frame::Bye));
    assert!((0..99).any(|_| left(reader.next())), "it is left with a goodbye");
    std::thread::sleep(times().grace * 6);
    assert!(ones.iter().all(One::quiet));
    all_wait_but_0(&ones);
    assert!(ones[1].node.ask(false));
    let said = ones[0].says();
    assert!(said.contains("\n  ranks 3-4 do not answer (stopped?)"), "{said}");
}
