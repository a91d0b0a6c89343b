//! What goes over a connection after the handshake: frames.
//!
//! A frame is its length (4 bytes, little endian) and so many bytes of `postcard`, of which the first is the kind; more than
//! [`LIMIT`] bytes is no frame. Frames are not signed one by one: the secret keeps strangers out who can connect, not one
//! who can rewrite the packets of the network, where MPI's own messages go, too.

use super::table::Line;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of a frame, in bytes.
const LIMIT: usize = 1 << 20;
/// So long a write may take: a peer that was stopped does not read.
const WRITING: Duration = Duration::from_secs(2);

/// What is said. "Up" is towards rank 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Frame {
    /// Up, the first of every connection: who calls.
    Here {
        host: String,
        pid: u32,
    },
    /// Up: a rank of the hub's host has connected to it.
    Joined {
        rank: u32,
        host: String,
        pid: u32,
    },
    /// Up: a wait has lasted; who waits where?
    Ask {
        kill: bool,
    },
    /// Down: the question has come to rank 0.
    Heard,
    /// Down: what are you doing?
    Tell {
        id: u64,
    },
    /// Up: the answer, of this rank and of those below it.
    Lines {
        id: u64,
        lines: Vec<Line>,
    },
    /// Up: the process of a rank is gone.
    Gone {
        rank: u32,
    },
    /// Up: this rank ends the job itself, and has said why.
    Told,
    /// Down: the job ends, and it was said why.
    End,
    /// Down over TCP, and its answer.
    Beat,
    Pulse,
    /// The job is over for the sender: the connection's end means nothing.
    Bye,
}

/// One of the two kinds of connection.
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

macro_rules! each {
    ($self:expr, $stream:ident => $body:expr) => {
        match $self {
            Stream::Unix($stream) => $body,
            Stream::Tcp($stream) => $body,
        }
    };
}

impl Stream {
    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => (&mut &*stream).read(into))
    }

    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        each!(self, stream => (&mut &*stream).write_all(bytes))
    }

    fn shutdown(&self, how: Shutdown) {
        each!(self, stream => stream.shutdown(how)).ok();
    }

    /// How long a read may take before it says that all is quiet.
    pub(super) fn quiet_after(&self, time: Option<Duration>) -> io::Result<()> {
        each!(self, stream => stream.set_read_timeout(time))
    }

    /// Exactly so many bytes, before `end`.
    pub(super) fn read_by<const N: usize>(&self, end: Instant) -> io::Result<[u8; N]> {
        let (mut bytes, mut had) = ([0; N], 0);
        while had < N {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.quiet_after(Some(left))?;
            match self.read(&mut bytes[had..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => had += n,
                Err(e) if again(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(bytes)
    }

    /// From now on a write fails that does not end in time.
    pub(super) fn limit_writes(&self) -> io::Result<()> {
        each!(self, stream => stream.set_write_timeout(Some(WRITING)))
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// A connection between two ranks. Any thread writes, one reads.
pub(super) struct Link {
    pub(super) stream: Stream,
    /// False once a write has failed: what follows half a frame could not be read.
    writes: Mutex<bool>,
}

/// What reading gave.
#[derive(Debug, PartialEq)]
pub(super) enum Came {
    Frame(Frame),
    /// Nothing for as long as `quiet_after` says.
    Quiet,
    /// The other side has closed the connection, or its system has: the process is gone, if it did not say goodbye.
    Ended,
    /// The connection cannot be used any more. That says nothing of the process.
    Lost,
}

impl Link {
    pub(super) fn new(stream: Stream) -> Link {
        Link { stream, writes: Mutex::new(true) }
    }

    /// Whether the frame has left.
    pub(super) fn send(&self, frame: &Frame) -> bool {
        let Ok(body) = postcard::to_stdvec(frame) else { return false };
        if body.len() > LIMIT {
            return false;
        }
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
        *writes = *writes && self.stream.write_all(&bytes).is_ok();
        *writes
    }

    /// Says goodbye. Reading goes on until the other side has closed its half, too.
    pub(super) fn leave(&self) {
        self.send(&Frame::Bye);
        self.stream.shutdown(Shutdown::Write);
    }

    pub(super) fn close(&self) {
        self.stream.shutdown(Shutdown::Both);
    }
}

/// Reads frames, and keeps half of one over a quiet time.
pub(super) struct Reader<'l> {
    link: &'l Link,
    bytes: Vec<u8>,
}

impl<'l> Reader<'l> {
    pub(super) fn new(link: &'l Link) -> Reader<'l> {
        Reader { link, bytes: Vec::new() }
    }

    pub(super) fn next(&mut self) -> Came {
        loop {
            if let Some((head, rest)) = self.bytes.split_first_chunk() {
                let len = u32::from_le_bytes(*head) as usize;
                if len > LIMIT {
                    return Came::Lost;
                }
                if let Some(body) = rest.get(..len) {
                    let frame = postcard::from_bytes(body);
                    self.bytes.drain(..4 + len);
                    return frame.map_or(Came::Lost, Came::Frame);
                }
            }
            let mut more = [0; 4096];
            match self.link.stream.read(&mut more) {
                Ok(0) => return Came::Ended,
                Ok(n) => self.bytes.extend_from_slice(&more[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if again(&e) => return Came::Quiet,
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Came::Ended,
                Err(_) => return Came::Lost,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Stream, Stream) {
        let (a, b) = UnixStream::pair().unwrap();
        (Stream::Unix(a), Stream::Unix(b))
    }

    #[test]
    fn frames_come_whole_or_not_at_all() {
        let (a, b) = pair();
        let (a, b) = (Link::new(a), Link::new(b));
        b.stream.quiet_after(Some(Duration::from_millis(20))).unwrap();
        let mut reader = Reader::new(&b);
        let frame = Frame::Joined { rank: 3, host: "n1".into(), pid: 77 };
        let body = postcard::to_stdvec(&frame).unwrap();
        let bytes = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
        assert_eq!(reader.next(), Came::Quiet);
        a.stream.write_all(&bytes[..7]).unwrap();
        assert_eq!(reader.next(), Came::Quiet);
        a.stream.write_all(&bytes[7..]).unwrap();
        assert!(a.send(&Frame::Ask { kill: true }));
        assert_eq!(reader.next(), Came::Frame(frame));
        assert_eq!(reader.next(), Came::Frame(Frame::Ask { kill: true }));
        a.stream.write_all(&bytes[..7]).unwrap();
        a.close();
        assert_eq!(reader.next(), Came::Ended);
    }

    #[test]
    fn what_is_no_frame_is_not_believed() {
        for bytes in [&u32::MAX.to_le_bytes()[..], &[1, 0, 0, 0, 200]] {
            let (a, b) = pair();
            let b = Link::new(b);
            a.write_all(bytes).unwrap();
            assert_eq!(Reader::new(&b).next(), Came::Lost);
        }
    }
}
