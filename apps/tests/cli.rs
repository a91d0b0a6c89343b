//! The command as a user meets it: what it prints, writes and refuses, and its reports as `docs/json.md` has them.

mod here;

use here::Here;
use serde_json::Value;
use std::path::Path;

/// The literal example of a command in the docs.
fn example(command: &str) -> Value {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md")).unwrap();
    let blocks = docs.split("```json").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut examples = blocks.map(|text| serde_json::from_str::<Value>(text).unwrap());
    examples.find(|value| value["command"] == command).unwrap_or_else(|| panic!("no example of {command}"))
}

/// The same keys in the same order, and the same types all the way down; texts of hex digits are as long.
fn same_shape(at: &str, a: &Value, b: &Value) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys = |o: &serde_json::Map<String, Value>| o.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(x), keys(y), "keys of {at}");
            x.iter().for_each(|(key, value)| same_shape(&format!("{at}.{key}"), value, &y[key]));
        }
        (Value::Array(x), Value::Array(y)) => {
            if let (Some(x), Some(y)) = (x.first(), y.first()) {
                same_shape(&format!("{at}[]"), x, y);
            }
        }
        (Value::String(x), Value::String(y)) if at.ends_with("hash") || at.ends_with("xxh3") => {
            let hex = |s: &str| s.len() == 16 && s.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
            assert!(hex(x) && hex(y), "{at}: {x} {y}");
        }
        (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_)) => {}
        (Value::Bool(_), Value::Bool(_)) | (Value::Null, Value::Null) => {}
        _ if ["quota_cpus", "memory_bytes", "memory_kind", "l3", "package"].iter().any(|key| at.ends_with(key)) => {}
        _ if at.ends_with(".mpi") => assert!(a.is_null() || a.is_string(), "{at}: {a}"),
        _ => panic!("{at}: {a} and {b} are of different types"),
    }
}

#[test]
fn reports_are_as_documented() {
    let here = Here::new();
    here.reads();
    let heat = here.report("heat --cells 64x48 --steps 100 --ranks 2 --threads 2");
    same_shape("heat", &heat, &example("heat"));
    assert_eq!(
        (&heat["ranks"], &heat["threads_per_rank"], &heat["transport"]),
        (&2.into(), &2.into(), &"threads".into())
    );
    assert_eq!(
        (heat["field_hash"].clone(), heat["dt"].clone()),
        (example("heat")["field_hash"].clone(), example("heat")["dt"].clone())
    );
    // 64 cells of 8 bytes in both directions each step, their padding, and little else.
    let sent = heat["sent_bytes"].as_u64().unwrap();
    assert!((102_400..=102_400 + 100 * 2 * (192 + 128) + 1000).contains(&sent), "{sent}");
    let random = here.report("heat --cells 20x20 --steps 3 --start random");
    assert!(random["error_max"].is_null() && random["error_bound"].is_null());
    assert_eq!(heat["check"], "right");
    assert_eq!(random["check"], "nothing: of a random start the solution is not known");

    let without = |report: &Value, keys: &[&str]| {
        let mut report = report.clone();
        keys.iter().for_each(|key| drop(report.as_object_mut().unwrap().shift_remove(*key).expect(key)));
        report
    };
    same_shape("wave", &here.report("wave --cells 20x20 --steps 3"), &example("heat"));
    same_shape("advect", &without(&here.report("advect --cells 20x20 --steps 3"), &["sum"]), &example("heat"));
    let rates = "--feed 0.04 --kill 0.06075 --du 0.1 --dv 0.05 --dt 0.2 --boundary fixed --start one";
    let gray_scott = here.report(&format!("gray-scott --cells 128x96 --steps 200 {rates}"));
    same_shape("gray-scott", &gray_scott, &example("gray-scott"));
    for key in ["sum_u", "sum_v", "field_hash"] {
        assert_eq!(gray_scott[key], example("gray-scott")[key], "{key}");
    }
    let life = here.report("life --cells 100x100 --steps 25");
    assert_eq!((life["alive"].clone(), life["float"].clone()), (39.into(), "u8".into()));
    same_shape("life", &without(&life, &["alive"]), &without(&gray_scott, &["sum_u", "sum_v"]));
    let poisson = here.report("poisson --cells 100x90");
    same_shape("poisson", &poisson, &example("poisson"));
    assert_eq!(poisson["field_hash"], example("poisson")["field_hash"]);

    let kmers = here.report("kmers count -k 31 --histogram h reads.fq --ranks 2");
    same_shape("kmers", &kmers, &example("kmers count"));
    for key in ["k", "bases", "kmers", "distinct", "unique"] {
        assert_eq!(kmers[key], example("kmers count")[key], "{key}");
    }
    same_shape("topo", &here.report("topo --ranks 2"), &example("topo"));
    let demo = here.report("demo");
    same_shape("demo", &demo, &example("demo"));
    assert_eq!(demo["heat"]["field_hash"], example("demo")["heat"]["field_hash"]);
    let bench = here.report("bench collectives --ranks 2 --threads 1 --largest 64");
    same_shape("bench", &bench, &example("bench collectives"));
    let rows = bench["rows"].as_array().unwrap();
    assert!(rows.iter().any(|r| r["name"] == "broadcast" && r["bytes"] == 64) && rows.len().is_multiple_of(4));
    let halo = here.report("bench halo --ranks 3 --threads 1 --width 100 --deepest 5 --read");
    same_shape("halo", &halo, &example("bench halo"));
    let rows: Vec<_> = halo["rows"].as_array().unwrap().iter().map(|r| (&r["rows"], &r["bytes"])).collect();
    assert_eq!(format!("{rows:?}"), "[(Number(1), Number(800)), (Number(2), Number(1600)), (Number(4), Number(3200))]");
    assert!(here.path("physalia-demo.png").metadata().unwrap().len() > 1000);
}

/// Where the system does not tell where pages lie (containers may forbid it), the command says so.
#[test]
fn shares_of_local_pages() {
    let (here, words) =
        (Here::new(), "bench locality --loops 3 --skew 2 --skew-within 3 --mib 8 --ranks 2 --threads 2");
    if physalia::topology::sys::nodes_of(&[1], 1).is_err() {
        let output = here.command(words).output().unwrap();
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && says.contains("the system does not tell where pages lie"), "{says}");
        return;
    }
    let locality = here.report(words);
    same_shape("locality", &locality, &example("bench locality"));
    let shares = |key: &str| -> Vec<f64> {
        locality[key].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).collect()
    };
    for share in [shares("local"), shares("rayon_local")].concat() {
        assert!((0.0..=1.0).contains(&share), "{locality}");
    }
    assert_eq!((shares("local").len(), shares("rayon_local").len(), &locality["mib"]), (3, 3, &8.into()));
    let over_mean = locality["busiest_over_mean"].as_f64().unwrap();
    assert!((1.0..=2.0).contains(&over_mean), "{locality}");
}

/// The whole grid counts, on however many ranks it is.
#[test]
fn speed_is_of_all_cells() {
    let here = Here::new();
    for ranks in ["1", "3"] {
        let mut command = here.command("heat --cells 40x30 --steps 50 --threads 1 --json -");
        let output = command.env("PHYSALIA_RANKS", ranks).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let updates = report["cell_updates_per_s"].as_f64().unwrap() * report["seconds"]["run"].as_f64().unwrap();
        assert!((updates / f64::from(40 * 30 * 50) - 1.0).abs() < 1e-9, "{ranks} ranks: {report}");
    }
}

#[test]
fn a_decayed_field_is_no_success() {
    let here = Here::new();
    let report = here.report("heat --cells 8x8 --steps 20000");
    let says =
        |text: &str| text.contains("nothing: the field has decayed to 0.0e0, which is less than rounding may change");
    assert!(says(report["check"].as_str().unwrap()), "{report}");
    assert!(says(&here.good("heat --cells 8x8 --steps 20000")));
    let little = here.report("heat --cells 8x8 --steps 2000");
    assert!(little["error_bound"].as_f64().unwrap() < 1e-50 && little["check"] == "right", "{little}");
}

#[test]
fn one_hash_for_all_layouts() {
    let here = Here::new();
    for (cells, steps) in [("130x77", 60), ("31x20x17", 40)] {
        let mut hashes = Vec::new();
        for ranks in [1, 2, 3, 4, 8] {
            for threads in [1, 2, 4] {
                let words = format!("heat --cells {cells} --steps {steps} --ranks {ranks} --threads {threads}");
                let report = here.report(&words);
                assert!(report["error_max"].as_f64().unwrap() <= 1e-12);
                hashes.push(report["field_hash"].as_str().unwrap().to_string());
            }
        }
        assert!(hashes.iter().all(|h| *h == hashes[0]), "{hashes:?}");
    }
}

#[test]
fn standard_streams() {
    let here = Here::new();
    here.reads();
    let histogram = here.good("kmers count -k 31 --histogram - reads.fq");
    assert!(histogram.starts_with("1\t15214\n"), "{histogram}");
    let reads = std::fs::File::open(here.path("reads.fq")).unwrap();
    let piped = here.command("kmers count -k 31 --histogram - -").stdin(reads).output().unwrap();
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), histogram);
    let several = here.good("kmers count -k 31 --dump d reads.fq --ranks 3");
    assert!(several.contains("distinct") && several.contains("75,170"), "{several}");
    let dump = std::fs::read_to_string(here.path("d")).unwrap();
    assert_eq!(dump.lines().count(), 75_170);
    assert!(dump.lines().is_sorted());
    assert!(here.bad("kmers count -k 31 --histogram - --json - reads.fq", 2).contains("standard output"));
    assert!(here.bad("kmers count -k 31 - -", 2).contains("standard input"));
}

#[test]
fn wrong_use_is_2_and_says_why() {
    let here = Here::new();
    assert!(here.bad("heat --dt 1", 2).contains("over the stability limit 5.9"));
    assert!(here.bad("heat --alpha -1", 2).contains("diffusivity"));
    let extreme = here.bad("heat --alpha 1e308", 2);
    assert!(extreme.contains("a diffusivity of 1e308 is too large") && !extreme.contains("time step of"), "{extreme}");
    assert!(here.bad("heat --cells 0x4", 2).contains("at least one cell"));
    assert!(here.bad("heat --cells 1e9x1e9", 2).contains("fewer than 2^48"));
    assert!(here.bad("heat --ranks 0", 2).contains("--ranks"));
    assert!(here.bad("heat --cells 8x8 --domain 1x2x3", 2).contains("--domain has 3 numbers for 2 axes"));
    assert!(here.bad("heat --cells 8x8 --boundary x=open", 2).contains("dirichlet, neumann, periodic"));
    assert!(here.bad("wave --order 5", 2).contains("2, 4, 6 or 8"));
    assert!(here.bad("wave --cells 9x9 --source 3", 2).contains("a source at [3], of 1 coordinates, on 2 axes"));
    assert!(here.bad("wave --receivers 3,3", 2).contains("--traces"));
    assert!(here.bad("advect --cfl 1.5", 2).contains("at most 1 for stability"));
    assert!(here.bad("gray-scott --dt 9", 2).contains("over the stability limit"));
    assert!(here.bad("life --cells 5x5 --start acorn", 2).contains("a pattern of 7 x 3 cells does not fit on 5 x 5"));
    assert!(here.bad("life --cells 5", 2).contains("life has 2 axes, not 1"));
    assert!(here.bad("poisson --tolerance 2", 2).contains("a tolerance of 2"));
    assert!(here.bad("kmers count -k 64 x", 2).contains("1..=63"));
    assert!(here.bad("kmers count -k 0 x", 2).contains("1..=63"));
    assert!(here.bad("nothing", 2).contains("nothing"));
    let output = here.command("topo").env("PHYSALIA_RANKS", "many").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("PHYSALIA_RANKS=many"));
}

#[test]
fn what_fails_is_1_and_says_where() {
    let here = Here::new();
    let missing = here.bad("kmers count -k 21 missing.fa --ranks 4", 1);
    assert_eq!(missing.matches("missing.fa").count(), 1, "{missing}");
    assert!(missing.starts_with("physalia: rank 0 on "), "{missing}");
    assert!(here.bad("heat --cells 9x9 --steps 1 --picture no/such/p.png", 1).contains("cannot write no/such/p.png"));
    assert!(here.bad("heat --cells 9x9 --steps 1 --json no/such/r.json", 1).contains("cannot write no/such/r.json"));
}

/// Before memory is taken, and on all ranks alike.
#[test]
fn what_does_not_fit_is_refused_with_need_and_budget() {
    let here = Here::new();
    for words in ["heat --cells 100000x100000x1000", "poisson --cells 100000x100000x1000 --float f32"] {
        let why = here.bad(&format!("{words} --ranks 2"), 1);
        assert!(
            why.contains("this grid needs ") && why.contains("GiB on this host, where 2 of the job's ranks"),
            "{why}"
        );
    }
    assert!(here.bad("heat --cells 100000x100000x1000", 1).contains("149011.61 GiB"), "two copies of 8 bytes");
}

/// Two copies of a field, its halos, and five percent; beside what a job of a few cells takes.
#[test]
fn memory_is_two_copies() {
    let here = Here::new();
    let peak = |words: &str| here.report(words)["process_peak_rss_bytes"].as_u64().unwrap() as f64;
    let least = peak("heat --cells 64x64 --steps 20");
    for (words, bytes) in
        [("heat --cells 2048x2048", 8.0), ("heat --cells 2048x2048 --float f32", 4.0), ("life --cells 4096x2048", 2.0)]
    {
        let copies = 2.0 * 2048.0 * 2048.0 * bytes;
        // Rings of levels between belong to workers: they fit their caches.
        let took = peak(&format!("{words} --steps 20")) - least;
        assert!(took < 1.05 * copies + 4e6, "{words}: {took} bytes, where two copies are {copies}");
    }
}

#[test]
fn what_is_no_number_stops_a_run_where_it_is_found() {
    let here = Here::new();
    // Steps that overshoot: v falls below zero, and both run away from each other.
    let run = "gray-scott --cells 40x40 --steps 1000 --du 0 --dv 0 --feed 0 --kill 9";
    let why = here.bad(&format!("{run} --check-finite 10"), 1);
    let step: u64 = why.split("after step ").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok()).expect(&why);
    assert!(step.is_multiple_of(10) && why.contains(" is ") && why.contains(" at ["), "{why}");
    let before = step - 10;
    here.good(&format!("{run} --check-finite 10 --steps {before}"));
    here.good(run); // nobody has asked
    here.good("heat --cells 20x20 --steps 7 --check-finite 5");
}

#[test]
fn receivers_are_a_table_and_go_on_after_a_checkpoint() {
    let run = "wave --cells 60x50 --source 30,25 --order 4 --receivers where --traces t.csv";
    let table = |here: &Here| std::fs::read_to_string(here.path("t.csv")).unwrap();
    let straight = Here::new();
    std::fs::write(straight.path("where"), "40,25\n30, 35\n").unwrap();
    let whole = straight.report(&format!("{run} --steps 60 --ranks 2"));
    let text = table(&straight);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("step,time,u_40_25,u_30_35", 61));
    let last: Vec<f64> = lines[60].split(',').map(|n| n.parse().unwrap()).collect();
    assert!(last[0] == 60.0 && last[2].abs() > 1e-3 && (last[2] / last[3] - 1.0).abs() < 0.5, "{last:?}");

    let here = Here::new();
    std::fs::write(here.path("where"), "40,25\n30,35\n").unwrap();
    here.good(&format!("{run} --steps 35 --checkpoint run --ranks 3"));
    let resumed = here.report(&format!("{run} --steps 60 --resume run"));
    assert_eq!((resumed["resumed_from"].as_u64(), &resumed["field_hash"]), (Some(35), &whole["field_hash"]));
    assert!(table(&here) == text);
    assert!(here.bad(&format!("{run} --steps 9 --receivers nowhere"), 2).contains("neither cells"));
}

#[test]
fn patterns_are_read_from_files() {
    let here = Here::new();
    std::fs::write(here.path("r.rle"), "#N R-pentomino\nx = 3, y = 3, rule = B3/S23\nb2o$2o$bo!\n").unwrap();
    let run = "life --cells 200x200 --steps 50";
    let report = here.report(&format!("{run} --rle r.rle"));
    assert_eq!((&report["alive"], &report["field_hash"]), (&64.into(), &here.report(run)["field_hash"]));
    std::fs::write(here.path("bad.rle"), "b2o$2k?").unwrap();
    assert!(here.bad("life --rle bad.rle", 2).contains("bad.rle, line 1: '?' is no cell"));
    assert!(here.bad("life --rle r.rle --json r.rle", 2).contains("are the same file"));
}

/// Without MPI inside, a program that a launcher started as one of several must not run alone.
#[test]
#[cfg(not(feature = "mpi"))]
fn lonely_ranks_are_refused() {
    let here = Here::new();
    let launched = |rank: &str| {
        let vars = [("OMPI_COMM_WORLD_RANK", rank), ("OMPI_COMM_WORLD_SIZE", "3")];
        let locals = [("OMPI_COMM_WORLD_LOCAL_RANK", rank), ("OMPI_COMM_WORLD_LOCAL_SIZE", "3")];
        let output = here.command("topo").envs(vars).envs(locals).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(launched("0").contains("build with `--features mpi`"));
    assert_eq!(launched("1"), "", "one process speaks for all");
}

#[test]
fn what_it_tells_of_itself() {
    let here = Here::new();
    let version = here.good("--version");
    for words in [env!("CARGO_PKG_VERSION"), "features:", "MPI:", "To cite:"] {
        assert!(version.contains(words), "{version}");
    }
    assert_eq!(version.contains("features: none"), !cfg!(any(feature = "mpi", feature = "hwloc")));
    for shell in ["bash", "zsh", "fish"] {
        assert!(here.good(&format!("completions {shell}")).contains("physalia"));
    }
    assert!(here.good("man").contains(".TH physalia"));
    here.good("man --dir .");
    for page in ["physalia.1", "physalia-heat.1", "physalia-gray-scott.1", "physalia-kmers-count.1"] {
        assert!(here.path(page).exists(), "{page}");
    }
    assert!(here.good("--help").contains("heat"));
}

#[test]
fn topo_names_every_rank() {
    let text = Here::new().good("topo --ranks 3 --threads 1");
    assert!(text.starts_with("3 ranks × 1 domain × 1 worker on 1 host (threads)\n"), "{text}");
    assert!(text.contains("NUMA node") && text.contains("┌─ "), "a drawing: {text}");
    let ranks: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for rank in ["0", "1", "2"] {
        assert!(ranks.contains(&rank), "{text}");
    }
}
