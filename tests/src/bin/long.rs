//! Random cases against plain programs, as many as one likes. A seed and a number make a case, so any can be run again, and a
//! run that was stopped goes on where it was.
//!
//! ```text
//! long [--seed S] [--from N] [--cases N] [--seconds T] [--state FOLDER]
//! ```
//! Cases `from`, `from + 1` and so on, so many, or for so long. With a folder, the next case of the seed is kept there.
#![forbid(unsafe_code)]

use physalia::prelude::*;
use physalia_apps::genomics::count::{Options, count};
use physalia_tests::dice::Dice;
use physalia_tests::launch::mpirun;
use physalia_tests::mutants::Mutant;
use physalia_tests::oracle::{heat, kmers};
use physalia_tests::{Body, End, all, check_bad_end, clock};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

/// What a case does, in words, and how to do it.
type Case = (String, Box<dyn FnOnce() + Send>);

fn case(seed: u64, number: u64) -> Case {
    let mut dice = Dice::of(seed, number);
    match dice.below(if cfg!(feature = "mpi") { 13 } else { 9 }) {
        0 | 1 => heat_case(&mut dice),
        2 | 3 => kmers_case(&mut dice),
        4 | 5 => body_case(&mut dice),
        6 => bad_case(&mut dice),
        7 => mutant_case(&mut dice, false),
        8 => program_case(&mut dice, false),
        9 | 10 => program_case(&mut dice, true),
        11 => mutant_case(&mut dice, true),
        _ => launched_case(&mut dice),
    }
}

fn heat_case(dice: &mut Dice) -> Case {
    let axes = dice.below(3) as usize + 1;
    let cells: [u64; 3] = std::array::from_fn(|a| if a < axes { dice.size([9000, 90, 24][axes - 1]) } else { 1 });
    let (seed, steps) = (dice.below(1 << 40), dice.below(20));
    let layouts = [dice.layout(), dice.layout()];
    let words = format!("heat {:?}, {steps} steps, seed {seed}, layouts {layouts:?}", &cells[..axes]);
    let run = move || match axes {
        1 => heat::same_bits([cells[0]], seed, steps, &layouts),
        2 => heat::same_bits([cells[0], cells[1]], seed, steps, &layouts),
        _ => heat::same_bits(cells, seed, steps, &layouts),
    };
    (words, Box::new(run))
}

fn kmers_case(dice: &mut Dice) -> Case {
    let k = dice.below(63) as usize + 1;
    let (ranks, threads) = dice.layout();
    let (round_bytes, piece_bytes) = (dice.size(1 << 20) as usize, dice.size(1 << 16));
    let files: Vec<[u64; 5]> = (0..dice.size(5))
        .map(|_| [dice.below(1 << 40), dice.size(4000), dice.size(100), dice.size(50), dice.below(6)])
        .collect();
    let words = format!("{k}-mers on {ranks} × {threads}, rounds {round_bytes}, pieces {piece_bytes}, files {files:?}");
    let run = move || {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut paths, mut sequences) = (Vec::new(), Vec::new());
        for (i, &[seed, letters, width, reads, form]) in files.iter().enumerate() {
            let path = folder.path().join(i.to_string());
            let (bytes, texts) = file(seed, letters, width as usize, reads, form);
            std::fs::write(&path, bytes).expect("a file");
            paths.push(path);
            sequences.extend(texts);
        }
        let texts: Vec<&str> = sequences.iter().map(String::as_str).collect();
        let counts = kmers::plain(&texts, k);
        let dump = folder.path().join("dump");
        let options = Options { round_bytes, piece_bytes, dump: Some(dump.clone()), ..Options::new(k, paths) };
        let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| count(world, &options));
        let summary = job.unwrap_or_else(|abort| panic!("{abort}")).swap_remove(0);
        assert_eq!(summary.histogram, kmers::histogram(&counts));
        let lines: String = counts.iter().map(|(kmer, count)| format!("{kmer}\t{count}\n")).collect();
        assert!(std::fs::read_to_string(dump).expect("the dump") == lines, "the dump is another");
    };
    (words, Box::new(run))
}

/// A file in one of the forms, and its sequences.
fn file(seed: u64, letters: u64, width: usize, reads: u64, form: u64) -> (Vec<u8>, Vec<String>) {
    let texts: Vec<String> = (0..reads).map(|i| kmers::letters(seed + i, letters / reads)).collect();
    let end = if form.is_multiple_of(2) { "\n" } else { "\r\n" };
    let fasta = |text: &String| format!(">s{end}{}", kmers::wrap(text, width, end));
    let fastq = |text: &String| {
        format!("@s{end}{text}{end}+{end}{}{end}", "@+I>"[..].repeat(text.len())[..text.len()].to_owned())
    };
    let text: String = if form < 4 { texts.iter().map(fasta).collect() } else { texts.iter().map(fastq).collect() };
    let bytes = if form == 2 || form == 5 { kmers::gzip(&text) } else { text.into_bytes() };
    (bytes, texts)
}

fn body_case(dice: &mut Dice) -> Case {
    let well: Vec<Body> = all().into_iter().filter(|b| b.end == End::Well).collect();
    let body = well[dice.below(well.len() as u64) as usize];
    let (ranks, threads) = match dice.below(8) {
        0 => (dice.one_of(&[6, 7, 9, 16, 33]), 1),
        _ => dice.layout(),
    };
    let run = move || {
        let job = Launch::from_env().ranks(ranks).threads(threads).run(body.run);
        job.unwrap_or_else(|abort| panic!("{abort}"));
    };
    (format!("body {body:?} on {ranks} × {threads}"), Box::new(run))
}

/// A program beside this one.
fn program(name: &str) -> PathBuf {
    std::env::current_exe().expect("a path").with_file_name(name)
}

fn mutant_case(dice: &mut Dice, launched: bool) -> Case {
    let seed = dice.below(1 << 40);
    let (mutant, board) = (Mutant::of(seed), dice.one_of(&["on", "off"]));
    let words = format!("mutant {seed}, board {board}, {}: {mutant:?}", if launched { "mpirun" } else { "in process" });
    let run = move || {
        let mut command = if launched { mpirun(mutant.ranks) } else { Command::new(program("mutant")) };
        if launched {
            command.arg(program("mutant"));
        } else {
            command.env("PHYSALIA_RANKS", mutant.ranks.to_string());
        }
        command.arg(seed.to_string()).env("PHYSALIA_THREADS", "1").env("PHYSALIA_BOARD", board);
        if mutant.loops() {
            command.env("PHYSALIA_STALL", "1:kill");
        }
        mutant.check(&clock::run(&mut command, Duration::from_secs(40)));
    };
    (words, Box::new(run))
}

/// Some random programs of collectives in one job.
fn program_case(dice: &mut Dice, launched: bool) -> Case {
    let (first, board) = (dice.below(1 << 40), dice.one_of(&["on", "off"]));
    let ranks = if launched { 1 + dice.below(8) as u32 } else { dice.one_of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33]) };
    let seeds: Vec<String> = (first..first + 10).map(|seed| seed.to_string()).collect();
    let words = format!("programs {seeds:?} on {ranks} ranks, board {board}, launched: {launched}");
    let run = move || {
        let mut command = if launched { mpirun(ranks) } else { Command::new(program("program")) };
        if launched {
            command.arg(program("program"));
        } else {
            command.env("PHYSALIA_RANKS", ranks.to_string());
        }
        command.args(&seeds).env("PHYSALIA_THREADS", "1").env("PHYSALIA_BOARD", board);
        let ended = clock::run(&mut command, Duration::from_secs(50));
        let good = ended.stdout.lines().filter(|line| line.starts_with("ok ")).count();
        assert_eq!((ended.code, good), (Some(0), seeds.len()), "{ended:?}");
    };
    (words, Box::new(run))
}

fn bad_case(dice: &mut Dice) -> Case {
    let bad: Vec<Body> = all().into_iter().filter(|b| matches!(b.end, End::Badly { .. })).collect();
    let body = bad[dice.below(bad.len() as u64) as usize];
    let (ranks, threads) = (2 + dice.size(7), dice.size(4));
    let run = move || {
        let mut command = Command::new(program("bodies"));
        command.arg(body.name).env("PHYSALIA_RANKS", ranks.to_string()).env("PHYSALIA_THREADS", threads.to_string());
        check_bad_end(&body, &clock::run(&mut command, Duration::from_secs(30)));
    };
    (format!("bad end {body:?} on {ranks} × {threads}"), Box::new(run))
}

fn launched_case(dice: &mut Dice) -> Case {
    let bodies_all = all();
    let body = bodies_all[dice.below(bodies_all.len() as u64) as usize];
    let (ranks, threads) = (2 + dice.size(7) as u32, dice.size(2));
    let run = move || {
        let mut command = mpirun(ranks);
        command.env("PHYSALIA_THREADS", threads.to_string()).arg(program("bodies")).arg(body.name);
        let ended = clock::run(&mut command, Duration::from_secs(50));
        match body.end {
            End::Well => assert_eq!(ended.code, Some(0), "{ended:?}"),
            _ => check_bad_end(&body, &ended),
        }
    };
    (format!("body {body:?} under mpirun on {ranks} × {threads}"), Box::new(run))
}

/// What to run.
struct Wanted {
    seed: u64,
    from: Option<u64>,
    cases: u64,
    seconds: u64,
    state: Option<PathBuf>,
}

fn wanted(mut words: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut wanted = Wanted { seed: now, from: None, cases: u64::MAX, seconds: u64::MAX, state: None };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{word} {value}: a number is wanted"));
        match word.as_str() {
            "--seed" => wanted.seed = number()?,
            "--from" => wanted.from = Some(number()?),
            "--cases" => wanted.cases = number()?,
            "--seconds" => wanted.seconds = number()?,
            "--state" => wanted.state = Some(value.into()),
            _ => return Err(format!("{word}: --seed, --from, --cases, --seconds, --state are known")),
        }
    }
    if wanted.cases == u64::MAX && wanted.seconds == u64::MAX {
        wanted.cases = 1000;
    }
    Ok(wanted)
}

fn fail(why: impl Display) -> ExitCode {
    eprintln!("long: {why}");
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let wanted = match wanted(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(why) => return fail(why),
    };
    let seed = wanted.seed;
    let state = wanted.state.as_deref().map(|folder| folder.join(format!("seed-{seed}")));
    if let Some(Err(why)) = wanted.state.as_deref().map(std::fs::create_dir_all) {
        return fail(why);
    }
    let kept = |path: &Path| std::fs::read_to_string(path).ok()?.trim().parse().ok();
    let from = wanted.from.or_else(|| kept(state.as_deref()?)).unwrap_or(0);
    println!("seed {seed}, from case {from}; again: long --seed {seed} --from CASE --cases 1");

    let begin = Instant::now();
    let (mut passed, mut failed) = (0, Vec::new());
    let mut number = from;
    while passed + (failed.len() as u64) < wanted.cases && begin.elapsed().as_secs() < wanted.seconds {
        let (words, run) = case(seed, number);
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| clock::ends(run))) {
            Ok(()) => passed += 1,
            Err(_) => {
                println!("FAILED case {number}: {words}");
                failed.push(number);
            }
        }
        number += 1;
        if let Some(Err(why)) = state.as_deref().map(|path| std::fs::write(path, number.to_string())) {
            return fail(why);
        }
    }
    if !failed.is_empty() {
        println!("failed cases of seed {seed}: {failed:?}");
    }
    println!("{passed} passed, {} failed", failed.len());
    ExitCode::from(u8::from(!failed.is_empty()))
}
