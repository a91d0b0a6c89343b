//! Where outputs go: never over each other, found out before the work if they cannot be written, and quiet if nobody reads.

mod here;

use here::Here;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Refused with code 2 in words that name both, before anything is written.
fn clash(here: &Here, words: &str, names: [&str; 2]) {
    let before = listing(here);
    let said = here.bad(words, 2);
    assert!(said.contains("are the same file") && names.iter().all(|name| said.contains(name)), "{words}: {said}");
    assert_eq!(listing(here), before, "{words}");
}

/// Names and contents.
fn listing(here: &Here) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(here.path(".")).unwrap().map(|entry| entry.unwrap());
    let mut all: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap_or_default()))
        .collect();
    all.sort();
    all
}

#[test]
fn two_outputs_are_two_files() {
    let here = Here::new();
    fs::write(here.path("reads.fa"), ">r\nACGTACGTAC\n").unwrap();
    fs::write(here.path("old"), "old").unwrap();
    fs::hard_link(here.path("old"), here.path("hard")).unwrap();
    symlink("old", here.path("soft")).unwrap();
    symlink(".", here.path("folder")).unwrap();
    let count = "kmers count -k 3 reads.fa";
    for (a, b) in [("new", "new"), ("new", "./new"), ("new", "folder/new"), ("old", "hard"), ("soft", "old")] {
        clash(
            &here,
            &format!("{count} --histogram {a} --dump {b}"),
            [&format!("--histogram {a}"), &format!("--dump {b}")],
        );
        clash(&here, &format!("{count} --json {a} --histogram {b}"), ["--json", "--histogram"]);
        clash(&here, &format!("heat --cells 9 --steps 1 --picture {a} --json {b}"), ["--picture", "--json"]);
    }
    clash(&here, &format!("{count} --ranks 3 --dump new --json new"), ["--dump", "--json"]);
    clash(&here, "demo --json folder/physalia-demo.png", ["--json", "the picture"]);
    clash(&here, "demo --json physalia-demo.fastq", ["--json", "the reads"]);
    here.good("heat --cells 9 --steps 1 --picture /dev/null --json /dev/null");
    here.good(&format!("{count} --histogram old --dump soft2 --json new"));
}

#[test]
fn an_input_is_no_output() {
    let here = Here::new();
    fs::write(here.path("reads.fa"), ">r\nACGTACGTAC\n").unwrap();
    symlink("reads.fa", here.path("link.fa")).unwrap();
    for option in ["--histogram", "--dump", "--json"] {
        clash(&here, &format!("kmers count -k 3 reads.fa {option} reads.fa"), [option, "the input reads.fa"]);
        clash(&here, &format!("kmers count -k 3 reads.fa {option} link.fa"), [option, "the input reads.fa"]);
        clash(&here, &format!("kmers count -k 3 link.fa {option} ./reads.fa"), [option, "the input link.fa"]);
    }
    let reads = fs::File::open(here.path("reads.fa")).unwrap();
    let output = here.command("kmers count -k 3 - --dump reads.fa").stdin(reads).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    here.good("kmers count -k 3 reads.fa reads.fa --histogram h"); // read twice is right
}

/// What the shell's `>` opened is an output too.
#[test]
fn standard_output_may_be_a_file() {
    let here = Here::new();
    let stdout = || Stdio::from(fs::File::create(here.path("out")).unwrap());
    let output = here.command("heat --cells 9 --steps 1 --json out").stdout(stdout()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("standard output and --json out"), "{said}");
    let output = here.command("heat --cells 9 --steps 1 --json /dev/stdout").stdout(stdout()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(fs::read_to_string(here.path("out")).unwrap().starts_with("{\n"), "the report alone");
    assert!(here.bad("heat --cells 9 --steps 1 --json - --picture /dev/stdout", 2).contains("--json and --picture"));
}

#[test]
fn a_picture_on_standard_output_is_alone() {
    let here = Here::new();
    let output = here.run("heat --cells 30x20 --steps 3 --picture -");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut reader = png::Decoder::new(std::io::Cursor::new(&output.stdout)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (30, 20));
    assert!(output.stdout.ends_with(b"IEND\xae\x42\x60\x82"), "nothing behind the picture");
    assert!(String::from_utf8(output.stderr).unwrap().contains("field hash"));
    let said = here.bad("heat --cells 30x20 --steps 3 --picture - --json -", 2);
    assert!(said.contains("--json and --picture would mix on standard output"), "{said}");
}

/// The work would take days.
#[test]
fn what_cannot_be_written_is_found_out_before_the_work() {
    let here = Here::new();
    fs::write(here.path("file"), "").unwrap();
    for option in ["--json", "--picture"] {
        for path in ["no/such", "file/r", "."] {
            let mut command = here.command(&format!("heat --cells 100x100 --steps 1e12 {option} {path}"));
            let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
            let start = Instant::now();
            while child.try_wait().unwrap().is_none() {
                if start.elapsed() > Duration::from_secs(60) {
                    child.kill().unwrap();
                    panic!("{option} {path}: it works");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(&format!("cannot write {path}: ")), "{said}");
        }
    }
    let said = here.bad("heat --cells 9 --steps 1 --json no/such", 1);
    assert!(said.contains("there is no folder no: make it, or name another"), "{said}");
}

#[test]
fn a_failed_write_at_the_end_loses_no_results() {
    if !Path::new("/dev/full").exists() {
        return println!("skipped: this system has no /dev/full");
    }
    let here = Here::new();
    here.reads();
    for (words, result) in [
        ("heat --cells 9x9 --steps 1 --json /dev/full", "field hash"),
        ("heat --cells 9x9 --steps 1 --picture /dev/full --json r.json", "field hash"),
        ("heat --cells 9x9 --steps 1 --ranks 3 --json /dev/full", "field hash"),
        ("kmers count -k 31 reads.fq --json /dev/full", "75,170"),
        ("topo --json /dev/full", "pinned to"),
        ("demo --json /dev/full", "Both are right"),
    ] {
        let output = here.run(words);
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{words}: {output:?}");
        assert!(said.contains(result) && complaint.contains("cannot write /dev/full: "), "{words}: {said}{complaint}");
    }
    assert!(here.path("r.json").exists(), "one file that cannot be written does not keep the other from it");
}

/// As `physalia heat | true` and `2>&1 | true`.
#[test]
fn nobody_reads() {
    let here = Here::new();
    here.reads();
    for (words, code) in [
        ("heat --cells 9x9 --steps 1", 0),
        ("heat --cells 9x9 --steps 1 --ranks 3 --json -", 0),
        ("heat --cells 99x99 --steps 1 --picture -", 0),
        ("kmers count -k 31 reads.fq --dump -", 0),
        ("topo", 0),
        ("demo", 0),
        ("--help", 0),
        ("--version", 0),
        ("man", 0),
        ("completions bash", 0),
        ("man --dir no/such", 1),
        ("kmers count -k 31 missing.fa", 1),
        ("heat --cells 9x9 --steps 1 --json no/such", 1),
        ("heat --dt 1", 2),
        ("heat --what", 2),
        ("heat --json x --picture x", 2),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (stdout, stderr) = (writer.try_clone().unwrap(), writer);
        let status = here.command(words).stdout(stdout).stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(code), "{words}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = here.command(words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{words}: {said}");
        assert_eq!(output.status.code(), Some(code), "{words}: {said}");
    }
}
