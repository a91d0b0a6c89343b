use super::*;
use crate::args::Command;

const HEAT: &str = "application = \"heat\"\n";

fn apps() -> Vec<Application> {
    names().iter().map(|name| Application::named(name).expect("a name of an application")).collect()
}

/// What heat would be told.
fn heat(text: &str, options: &[&str]) -> String {
    let options: Vec<OsString> = options.iter().map(OsString::from).collect();
    let cli = Scenario::read(&format!("{HEAT}{text}")).unwrap().with(&options).unwrap();
    match cli.command {
        Command::Heat(args) => format!("{args:?}"),
        other => panic!("{other:?}"),
    }
}

fn typed(words: &[&str]) -> String {
    heat("", words)
}

#[test]
fn a_file_is_as_if_it_were_typed() {
    let file = "cells = [20, 3_0]\nsteps = 1e4\ndt = 1e-6\n[a]\nslice = ['x=1:a.npy', 'y=2:b.npy']\nmovie-scale = [-1, 0.5]\n\
                movie = '-'\n[a.b]\nalpha = -0.10";
    let words = [
        "--cells",
        "20x30",
        "--steps",
        "10000",
        "--dt",
        "1e-6",
        "--slice",
        "x=1:a.npy",
        "--slice",
        "y=2:b.npy",
        "--movie-scale",
        "-1,0.5",
        "--movie",
        "-",
        "--alpha",
        "-0.1",
    ];
    assert_eq!(heat(file, &[]), typed(&words));
    assert_ne!(heat(file, &[]), typed(&words[2..]));
}

#[test]
fn options_that_follow_go_before_the_file() {
    let file = "steps = 5\ncsv-every = 2\nslice = ['x=1:a.npy', 'x=2:a.npy']";
    let words = ["--slice=y=1:b.npy", "--csv", "-", "--steps", "7"];
    assert_eq!(heat(file, &words), typed(&["--csv-every", "2", "--csv", "-", "--slice", "y=1:b.npy", "--steps", "7"]));
    // A value is no option, and what is wrong in the file is wrong whether it is used or not.
    assert_eq!(heat("csv = 'a'", &["--json", "csv"]), typed(&["--csv", "a", "--json", "csv"]));
    assert!(Scenario::read(&format!("{HEAT}steps = 'many'")).is_err());
    let wrong = Scenario::read(HEAT).unwrap().with(&["--stpes".into()]).unwrap_err();
    assert_eq!((wrong.kind(), wrong.exit_code()), (ErrorKind::UnknownArgument, 2));
}

#[test]
fn one_scenario_has_one_hash() {
    let hash = |text: &str| Scenario::read(&format!("{HEAT}{text}")).unwrap().hash();
    assert_eq!(hash("cells = [9, 9] # small\nsteps = 4"), hash("cells = '9x9'\n[more]\nsteps = 4"));
    assert_ne!(hash("steps = 4"), hash("steps = 5"));
    assert_ne!(hash("csv = 'a'"), hash("json = 'a'"));
}

/// A key that is blamed for what another lacks is one of the file.
#[test]
fn who_is_blamed() {
    let blamed = |text: &str, options: &[&str]| {
        let options: Vec<OsString> = options.iter().map(OsString::from).collect();
        let scenario = Scenario::read(&format!("{HEAT}{text}")).unwrap();
        let error = scenario.with(&options).unwrap_err();
        scenario.blamed(&options, &error)
    };
    let wrong = |line, what: &str| Some(Wrong { line, what: what.into() });
    assert_eq!(blamed("dt = 1\n\ncsv-every = 3", &[]), wrong(4, "csv-every needs csv, which is not given"));
    assert_eq!(blamed("csv = '-'", &["--movie-every", "3"]), None);
    assert_eq!(
        blamed("csv-every = 3\nmovie-every = 4", &["--csv-every=5"]),
        wrong(3, "movie-every needs movie, which is not given")
    );
}

/// Templates say all that there is, and what they show as a default is taken.
#[test]
fn templates_are_whole_and_right() {
    for app in apps() {
        let text = template::of(&app);
        let scenario = Scenario::read(&text).unwrap_or_else(|wrong| panic!("{}: {wrong:?}", app.name()));
        assert!(scenario.given.is_empty() && scenario.app.name() == app.name());
        assert!(scenario.with(&[]).is_ok());
        let mut seen = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("# ")) {
            let key = line.split(" = ").next().and_then(|name| app.option(name));
            let Some(key) = key.filter(|_| line.contains(" = ")) else { continue };
            let entry = &file::read(line).unwrap()[0];
            let words = key.words(&entry.value).unwrap();
            if key.default().is_some() || key.is_flag() {
                assert_eq!(words.iter().find_map(|word| wrong_value(&app, key, word)), None);
            }
            seen.push(key.name.to_string());
        }
        let keys: Vec<_> = app.options().map(|key| key.name.to_string()).collect();
        assert!(keys.iter().all(|key| seen.contains(key)) && keys.len() == seen.len(), "{keys:?} {seen:?}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}

/// Each application has an example of its name, all of whose keys are taken.
#[test]
fn every_application_has_an_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios");
    for app in apps() {
        let file = folder.join(app.name()).with_extension("toml");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let scenario = Scenario::read(&text).unwrap_or_else(|wrong| panic!("{}: {wrong:?}", file.display()));
        assert_eq!(scenario.app.name(), app.name());
        assert!(scenario.given.len() >= 3 && scenario.with(&[]).is_ok(), "{}", file.display());
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), apps().len(), "a file for each in {}", folder.display());
}
