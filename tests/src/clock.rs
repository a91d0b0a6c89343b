//! A hang is a failure: whatever may wait for ever runs on a clock that is far longer than any healthy run.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Runs on a thread of its own; a run that does not end fails the test in place of hanging it.
///
/// # Panics
/// If `f` panics, or does not end in 60 s.
pub fn ends<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    let thread = std::thread::spawn(move || drop(send.send(f())));
    match receive.recv_timeout(Duration::from_secs(60)) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running after 60 s"),
        Err(_) => std::panic::resume_unwind(thread.join().expect_err("it sent nothing")),
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

/// Runs a command to its end, at most `limit`; then it and what it started are ended.
///
/// # Panics
/// If it cannot be started, or does not end in time.
pub fn run(command: &mut Command, limit: Duration) -> Ended {
    run_meanwhile(command, limit, |_| ())
}

/// As `run`; `meanwhile` gets the number of the process when it runs.
///
/// # Panics
/// As `run`, and if `meanwhile` does.
pub fn run_meanwhile(command: &mut Command, limit: Duration, meanwhile: impl FnOnce(u32)) -> Ended {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    meanwhile(child.id());
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if start.elapsed() > limit {
            end(&mut child);
            panic!(
                "{command:?} still running after {limit:?}\nstdout: {}\nstderr: {}",
                stdout.recv_timeout(Duration::from_secs(5)).unwrap_or_default(),
                stderr.recv_timeout(Duration::from_secs(5)).unwrap_or_default()
            );
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    let text = |from: mpsc::Receiver<String>| from.recv_timeout(Duration::from_secs(10)).expect("its pipes are closed");
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr), took }
}

/// SIGTERM first: mpirun passes it on to its ranks, which SIGKILL would leave behind.
fn end(child: &mut Child) {
    Command::new("kill").arg(child.id().to_string()).status().ok();
    std::thread::sleep(Duration::from_secs(2));
    child.kill().ok();
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    let mut pipe = pipe.expect("piped");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).ok();
        bytes.retain(|&b| b != 0); // Open MPI 5 ends words of its own with a zero byte
        send.send(String::from_utf8_lossy(&bytes).into_owned()).ok();
    });
    receive
}
