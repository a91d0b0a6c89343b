//! Counting against a plain hash map of texts: formats, layouts, rounds of any size, and files that are wrong.

use physalia::prelude::*;
use physalia_apps::demo;
use physalia_apps::genomics::count::{Options, Summary, count};
use physalia_tests::oracle::kmers::{gzip, histogram, letters, plain, wrap};
use std::path::{Path, PathBuf};

fn run(ranks: u32, threads: usize, options: &Options) -> Result<Summary, Abort> {
    let launch = Launch::from_env().ranks(ranks).threads(threads);
    let mut summaries = launch.run(|world| count(world, options))?;
    assert!(summaries.iter().all(|s| s.histogram == summaries[0].histogram), "all ranks know the result");
    Ok(summaries.swap_remove(0))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

#[test]
fn all_formats_on_all_layouts() {
    let folder = Folder::new();
    let (a, b, c) = (letters(1, 3000), letters(2, 777), letters(3, 50));
    let fasta = format!(">a\n{}>b b\r\n{}>c\n{c}", wrap(&a, 60, "\n"), wrap(&b, 33, "\r\n"));
    let record = |name: &str, text: &str| format!("@{name}\n{text}\n+\n{}\n", "@".repeat(text.len()));
    let reads: Vec<&str> = (0..60).map(|i| &a[i * 50..(i + 1) * 50]).collect();
    let fastq: String = reads.iter().map(|read| record("r", read)).collect();
    let wrapped = format!("@w\n{}+w\n{}", wrap(&b, 70, "\n"), wrap(&"+".repeat(b.len()), 70, "\n"));
    let files = [
        folder.file("a.fa", &fasta),
        folder.file("b.fq", &fastq),
        folder.file("c.fq", wrapped),
        folder.file("d.fa.gz", [gzip(&fasta), gzip(&format!("\n>more\n{c}"))].concat()), // of two members
        folder.file("e.fq.gz", gzip(&fastq)),
        folder.file("empty", ""),
        folder.file("only_n.fa", ">n\nNNNNNNNNNN\n"),
    ];
    let mut sequences: Vec<&str> = vec![&a, &b, &c];
    sequences.extend(&reads);
    sequences.push(&b);
    sequences.extend([&a, &b, &c, &c].map(String::as_str));
    sequences.extend(&reads);
    for k in [1, 2, 3, 15, 31, 32, 33, 55, 63] {
        let counts = plain(&sequences, k);
        let expected = histogram(&counts);
        let dump: String = counts.iter().map(|(kmer, count)| format!("{kmer}\t{count}\n")).collect();
        for (ranks, threads, round, piece) in [
            (1, 1, 1 << 20, 1 << 20),
            (1, 3, 100, 50),
            (2, 2, 4096, 333),
            (3, 1, 1, 1000),
            (5, 2, 1 << 20, 64),
            (8, 1, 999, 7),
        ] {
            let options = Options {
                histogram: Some(folder.path("out.histogram")),
                dump: Some(folder.path("out.dump")),
                round_bytes: round,
                piece_bytes: piece,
                ..Options::new(k, files.to_vec())
            };
            let context = format!("k = {k}, {ranks} ranks × {threads} threads, rounds of {round}, pieces of {piece}");
            let summary = run(ranks, threads, &options).unwrap_or_else(|abort| panic!("{context}: {abort}"));
            assert_eq!(summary.histogram, expected, "{context}");
            assert_eq!(summary.bases, sequences.iter().map(|s| s.len() as u64).sum::<u64>() + 10, "{context}");
            let totals = (summary.kmers, summary.distinct, summary.unique);
            let unique = expected.get(&1).copied().unwrap_or(0);
            assert_eq!(totals, (counts.values().sum(), counts.len() as u64, unique), "{context}");
            let lines: String = expected.iter().map(|(count, number)| format!("{count}\t{number}\n")).collect();
            assert_eq!(std::fs::read_to_string(folder.path("out.histogram")).unwrap(), lines, "{context}");
            assert!(std::fs::read_to_string(folder.path("out.dump")).unwrap() == dump, "{context}: the dump");
        }
    }
    assert_eq!(folder.names().len(), files.len() + 2, "nothing is left aside: {:?}", folder.names());
}

#[test]
fn many_reads_on_many_ranks() {
    let folder = Folder::new();
    let text = demo::reads(5);
    let expected = demo::plain_histogram(&text, 31);
    let file = folder.file("reads.fq", &text);
    for (ranks, threads) in [(1, 2), (4, 1), (7, 2)] {
        let options = Options { round_bytes: 100_000, piece_bytes: 30_000, ..Options::new(31, vec![file.clone()]) };
        assert_eq!(run(ranks, threads, &options).unwrap().histogram, expected);
    }
}

#[test]
fn little_or_nothing_to_count() {
    let folder = Folder::new();
    for (name, text, bases) in [
        ("empty", "", 0),
        ("blank", "\n\n", 0),
        ("n", ">a\nNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN\n", 41),
        ("short", "@a\nACGT\n+\nIIII\n", 4),
        ("no_letters", ">a\n>b\n", 0),
    ] {
        let file = folder.file(name, text);
        for ranks in [1, 4] {
            let summary = run(ranks, 2, &Options::new(31, vec![file.clone()])).unwrap();
            assert_eq!((summary.bases, summary.kmers, summary.distinct, summary.largest), (bases, 0, 0, 0), "{name}");
            assert!(summary.histogram.is_empty());
        }
    }
    let one = folder.file("one", format!(">a\n{}", "A".repeat(31)));
    let summary = run(6, 1, &Options::new(31, vec![one])).unwrap();
    assert_eq!((summary.kmers, summary.unique), (1, 1));
}

/// One failure, the same for all ranks; outputs stay as they were.
#[test]
fn files_that_are_wrong_are_named() {
    let folder = Folder::new();
    let good = folder.file("good.fq", demo::reads(1));
    let cut = gzip(&demo::reads(2));
    let mut garbled = cut.clone();
    let middle = garbled.len() / 2;
    garbled[middle..middle + 8].fill(0x55);
    let far = format!(">a\n{}MIDDLE{0}", format!("{}\n", "ACGT".repeat(5)).repeat(95_238) + "ACGTACG");
    let bad_tail = format!("{}@cut\nACGT\n+\nII", demo::reads(3));
    let cases = [
        (folder.path("missing.fa"), "No such file"),
        (folder.0.path().to_path_buf(), "is a folder"),
        (folder.file("cut.fq.gz", &cut[..cut.len() - 100]), "truncated"),
        (folder.file("garbled.fq.gz", &garbled), "garbled.fq.gz: "),
        (folder.file("text.txt", "hello"), "neither FASTA nor FASTQ"),
        (folder.file("tail.fq", bad_tail), "after 2 of 4 qualities"),
        (folder.file("lengths.fq", "@a\nACGT\n+\nIIIIII\n"), "4 letters and more qualities"),
        (folder.file("joined.fa", ">a\nACGT>b\nACGT\n"), "'>' in a sequence: two files seem to be joined"),
        (folder.file("joined.fq", ">a\nACGT\n@b\nACGT\n+\nIIII\n"), "'@' in a sequence: FASTQ seems to follow FASTA"),
        (folder.file("hole.fa", far.replace("MIDDLE", "\0")), "byte 0x00 in a sequence: only letters"),
        (folder.file("mac.fa", far.replace("MIDDLE", "\r")), "(byte 2000008)"),
        (
            folder.file("hole.fa.gz", gzip(&far.replace("MIDDLE", "\0"))),
            "(byte 2000008), as counted after decompression",
        ),
        (folder.file("behind.fa.gz", [gzip(">a\nACGT\n"), b"hello".to_vec()].concat()), "last gzip member"),
    ];
    let old = folder.file("histogram", "as it was");
    for (path, words) in &cases {
        for ranks in [1, 3] {
            let options = Options {
                histogram: Some(old.clone()),
                dump: Some(folder.path("dump")),
                ..Options::new(21, vec![good.clone(), path.clone()])
            };
            let abort = run(ranks, 2, &options).expect_err("a file is wrong");
            assert!(abort.known_to_all(), "{abort}");
            let name = path.file_name().unwrap().to_string_lossy();
            let said = abort.to_string();
            assert!(said.contains(&*name) && said.contains(words), "{said}: not {name} and {words:?}");
            assert_eq!(std::fs::read_to_string(&old).unwrap(), "as it was");
        }
    }
    let left: Vec<String> = folder.names().into_iter().filter(|n| n.starts_with('.') || n == "dump").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// FASTQ that is wrapped only far behind the part that is looked at first: refused by all alike, or read as a whole.
#[test]
fn fastq_that_is_wrapped_late_is_counted_whole_or_refused() {
    let folder = Folder::new();
    let text = demo::reads(9);
    assert!(text.len() > 2 << 20);
    let tail = letters(8, 4000).to_uppercase();
    let wrapped = |i: usize| {
        let read = &tail[i * 100..(i + 1) * 100];
        format!("@late\n{}\n{}\n+\n@{}\n+{}\n", &read[..50], &read[50..], "I".repeat(49), "I".repeat(49))
    };
    let late = text.clone() + &(0..40).map(wrapped).collect::<String>();
    // Trimmed to nothing, without a line for it; the qualities before it look like a header.
    let nothing = text + &format!("@late\nACGT\n+\n@III\n@late\n+\n{}", demo::reads(10));
    for file in [folder.file("late.fq", late), folder.file("nothing.fq", nothing)] {
        let run = |whole_files, piece_bytes, ranks| {
            let options = Options { whole_files, piece_bytes, ..Options::new(21, vec![file.clone()]) };
            run(ranks, 2, &options).map(|summary| summary.histogram).map_err(|abort| abort.to_string())
        };
        assert_eq!(run(true, 1 << 20, 3), run(true, 1000, 1));
        assert!(run(true, 1 << 20, 1).is_ok());
        for (piece, ranks) in [(1 << 40, 1), (1 << 20, 1), (1000, 3), (99, 2), (12_345, 3)] {
            let said = run(false, piece, ranks).unwrap_err();
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(said.contains(name) && said.contains("with --whole-files"), "pieces of {piece}: {said}");
        }
    }
}

/// A named pipe into which `feed` writes, once someone opens it.
#[cfg(unix)]
fn pipe(path: PathBuf, feed: impl FnOnce() -> Vec<u8> + Send + 'static) -> (PathBuf, std::thread::JoinHandle<()>) {
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let to = path.clone();
    let writer = std::thread::spawn(move || {
        let mut open = std::fs::File::options().write(true).open(to).unwrap();
        std::io::Write::write_all(&mut open, &feed()).ok(); // whoever reads may refuse and leave
    });
    (path, writer)
}

#[cfg(unix)]
#[test]
fn pipes_may_be_gzip_and_are_read_once() {
    let folder = Folder::new();
    let (text, file) = (demo::reads(2), folder.file("reads.fq", demo::reads(1)));
    let options = |reads| Options { piece_bytes: 100_000, ..Options::new(21, reads) };
    let expected = run(1, 1, &options(vec![file.clone(), folder.file("two.fq", &text)])).unwrap().histogram;
    for (i, bytes) in
        [text.clone().into_bytes(), gzip(&text), [gzip(&text), vec![0; 512]].concat()].into_iter().enumerate()
    {
        for ranks in [1, 3] {
            let bytes = bytes.clone();
            let (path, writer) = pipe(folder.path(&format!("pipe{i}.{ranks}")), || bytes);
            assert_eq!(run(ranks, 2, &options(vec![file.clone(), path])).unwrap().histogram, expected);
            writer.join().unwrap();
        }
    }
    let cut = gzip(&text)[..1000].to_vec();
    let (path, writer) = pipe(folder.path("cut"), || cut);
    let said = run(2, 1, &options(vec![path])).unwrap_err().to_string();
    assert!(said.contains("cut: the gzip stream is cut off"), "{said}");
    writer.join().unwrap();
    let (path, _) = pipe(folder.path("twice"), Vec::new);
    let said = run(2, 1, &options(vec![path.clone(), path])).unwrap_err().to_string();
    assert!(said.contains("twice: a stream can be read only once"), "{said}");
}

/// What was looked at is not what is read: while the rank waits for a pipe, a file that comes after it changes.
#[cfg(unix)]
#[test]
fn files_that_change_are_never_counted() {
    let folder = Folder::new();
    let text = format!(">a\n{}", "ACGTACGTACGTACGTACGTACGTACGT\n".repeat(1000));
    for (name, text) in [("x.fa", &text), ("x.fq", &demo::reads(1))] {
        for len in [0, 29 * 500 + 3, text.len() as u64 + 1] {
            let file = folder.file(name, text);
            let (changes, kept) = (file.clone(), folder.path("kept"));
            std::fs::write(&kept, "as it was").unwrap();
            let (path, writer) = pipe(folder.path("pipe"), move || {
                std::fs::File::options().write(true).open(changes).unwrap().set_len(len).unwrap();
                b">b\nACGT\n".to_vec()
            });
            let histogram = Some(kept.clone());
            let options = Options { histogram, piece_bytes: 5000, ..Options::new(5, vec![path.clone(), file]) };
            let said = run(1, 1, &options).unwrap_err().to_string();
            assert!(said.contains(&format!("{name}: it changed after the job had begun: it had ")), "{said}");
            assert!(said.contains(&format!("now it has {len} bytes")), "{said}");
            assert_eq!(std::fs::read_to_string(kept).unwrap(), "as it was");
            writer.join().unwrap();
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn outputs_that_cannot_be_written_are_named_before_the_work() {
    let folder = Folder::new();
    let reads = folder.file("reads.fa", ">a\nACGTACGT\n");
    let nowhere = folder.path("no/folder/histogram");
    let options = Options { histogram: Some(nowhere.clone()), ..Options::new(5, vec![reads.clone()]) };
    let said = run(2, 1, &options).unwrap_err().to_string();
    assert!(said.contains(&format!("cannot write {}", nowhere.display())), "{said}");
    if Path::new("/dev/full").exists() {
        let full = Options { dump: Some("/dev/full".into()), ..Options::new(5, vec![reads]) };
        let said = run(2, 1, &full).unwrap_err().to_string();
        assert!(said.contains("cannot write /dev/full"), "{said}");
    }
    let said = run(2, 1, &Options::new(64, vec![])).unwrap_err().to_string();
    assert!(said.contains("k = 64: 1 to 63 are supported"), "{said}");
}
