//! How two processes of a job know each other: both prove that they know the job's secret without showing it (challenge and
//! response, with BLAKE3 as the keyed hash).
//!
//! ```text
//! caller → acceptor   magic with version, 16 bytes · the caller's rank, 4 · a nonce, 32
//! acceptor → caller   a nonce, 32 · H(secret, "accept" · rank · both nonces), 32
//! caller → acceptor   H(secret, "caller" · rank · both nonces), 32
//! ```
//!
//! All of it must be over in [`HANDSHAKE`], however the bytes drip.

use super::wire::{Link, Stream};
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// The last byte is the version.
const MAGIC: &[u8; 16] = b"physalia watch 1";
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);

/// What all ranks of a job know and nobody else.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(super) fn random() -> io::Result<Secret> {
        random().map(Secret)
    }

    /// A name for the socket of a hub, which does not tell the secret.
    pub(super) fn socket_name(&self, hub: u32) -> String {
        let hash = blake3::Hasher::new_keyed(&self.0).update(b"socket").update(&hub.to_le_bytes()).finalize();
        format!("physalia-{}", &hash.to_hex()[..32])
    }

    fn proof(&self, side: &[u8; 6], rank: u32, [caller, acceptor]: [&[u8; 32]; 2]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(side).update(&rank.to_le_bytes()).update(caller).update(acceptor).finalize()
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn stranger() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the other side does not know the job's secret")
}

/// The caller's side of the handshake.
pub(super) fn call(stream: Stream, secret: &Secret, rank: u32) -> io::Result<Link> {
    stream.limit_writes()?;
    let end = Instant::now() + HANDSHAKE;
    let mine = random()?;
    stream.write_all(&[&MAGIC[..], &rank.to_le_bytes(), &mine].concat())?;
    let theirs: [u8; 32] = stream.read_by(end)?;
    let proof = blake3::Hash::from_bytes(stream.read_by(end)?);
    // Hashes of this type are compared in constant time.
    if proof != secret.proof(b"accept", rank, [&mine, &theirs]) {
        return Err(stranger());
    }
    stream.write_all(secret.proof(b"caller", rank, [&mine, &theirs]).as_bytes())?;
    stream.quiet_after(None)?;
    Ok(Link::new(stream))
}

/// The acceptor's side of the handshake. Gives the caller's rank, too.
pub(super) fn accept(stream: Stream, secret: &Secret) -> io::Result<(u32, Link)> {
    stream.limit_writes()?;
    let end = Instant::now() + HANDSHAKE;
    if stream.read_by::<16>(end)? != *MAGIC {
        return Err(stranger());
    }
    let rank = u32::from_le_bytes(stream.read_by(end)?);
    let theirs: [u8; 32] = stream.read_by(end)?;
    let mine = random()?;
    let nonces = [&theirs, &mine];
    stream.write_all(&[&mine[..], secret.proof(b"accept", rank, nonces).as_bytes()].concat())?;
    if blake3::Hash::from_bytes(stream.read_by(end)?) != secret.proof(b"caller", rank, nonces) {
        return Err(stranger());
    }
    stream.quiet_after(None)?;
    Ok((rank, Link::new(stream)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Stream, Stream) {
        let (a, b) = UnixStream::pair().unwrap();
        (Stream::Unix(a), Stream::Unix(b))
    }

    /// What the acceptor says of a caller that does `f`.
    fn accepted(secret: Secret, f: impl FnOnce(Stream) -> Option<Link> + Send + 'static) -> io::Result<(u32, Link)> {
        let (a, b) = pair();
        let caller = std::thread::spawn(move || f(a));
        let result = accept(b, &secret);
        drop(caller.join().unwrap());
        result
    }

    #[test]
    fn both_sides_prove_that_they_know_the_secret() {
        let [secret, other] = [(); 2].map(|()| Secret::random().unwrap());
        assert_eq!(accepted(secret, move |s| call(s, &secret, 7).ok()).unwrap().0, 7);
        // The caller sees that the acceptor is none of ours, and hangs up.
        let refused = accepted(secret, move |s| {
            assert_eq!(call(s, &other, 7).err().unwrap().kind(), io::ErrorKind::PermissionDenied);
            None
        });
        assert!(refused.is_err());
        // A caller that does not care, and sends any proof; or the acceptor's own back.
        for mirrored in [false, true] {
            let refused = accepted(secret, move |s| {
                let end = Instant::now() + HANDSHAKE;
                s.write_all(&[&MAGIC[..], &[0; 36]].concat()).unwrap();
                let answer: [u8; 64] = s.read_by(end).unwrap();
                s.write_all(if mirrored { &answer[32..] } else { &[9; 32] }).unwrap();
                s.read(&mut [0]).ok(); // not hung up before it was read
                None
            });
            assert_eq!(refused.err().unwrap().kind(), io::ErrorKind::PermissionDenied);
        }
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &MAGIC[..10], b""] {
            let garbage = garbage.to_vec();
            assert!(accepted(secret, move |s| s.write_all(&garbage).ok().and(None)).is_err());
        }
        assert_ne!(secret.socket_name(0), secret.socket_name(4));
    }
}
