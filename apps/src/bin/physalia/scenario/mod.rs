//! `physalia run`: an application with the options that a file gives it.
//!
//! The keys of the file are the application's own options. They become words of a command line, which the same definitions
//! parse as if they had been typed; what they refuse is told with the file's line. Every process reads the file, and the job
//! begins with the proof that all have read the same (see `job`).

mod file;
mod options;
mod template;

use crate::args::{Cli, Run};
use crate::job::{self, wrong_use};
use crate::outputs::say;
use crate::report;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};
use file::{Entry, Value, Wrong};
use options::{Application, Key, names, nearest};
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use xxhash_rust::xxh3::xxh3_64;

/// The command line that a scenario stands for, with the options that follow it; or how the program ends.
pub fn main(run: &Run) -> Result<Cli, ExitCode> {
    report::begin();
    if let Some(name) = &run.template {
        let Some(app) = Application::named(name) else { return Err(wrong_use(&unknown_application(name))) };
        say(&template::of(&app));
        return Err(ExitCode::SUCCESS);
    }
    let file = run.file.as_deref().unwrap_or(Path::new("")); // the parser asks for one of both
    let text = fs::read_to_string(file).map_err(|error| refused(format!("cannot read {}: {error}", file.display())))?;
    let at = |wrong: Wrong| refused(format!("{}:{}: {}", file.display(), wrong.line, wrong.what));
    let scenario = Scenario::read(&text).map_err(at)?;
    let cli = match scenario.with(&run.options) {
        Ok(cli) => cli,
        Err(error) => match scenario.blamed(&run.options, &error) {
            Some(wrong) => return Err(at(wrong)),
            None => return Err(crate::refuse(&error)),
        },
    };
    job::of_scenario(scenario.hash());
    Ok(cli)
}

/// Other processes may have read something else, so all come together before it is told.
fn refused(why: String) -> ExitCode {
    job::refuse(&why)
}

fn unknown_application(name: &str) -> String {
    let names = names();
    format!("there is no application {name:?}; there are: {}", nearest(name, names.iter().map(String::as_str)))
}

/// A file whose keys and values are all right by themselves.
struct Scenario {
    app: Application,
    /// The keys, with the words that they stand for.
    given: Vec<(Entry, Vec<String>)>,
}

impl Scenario {
    fn read(text: &str) -> Result<Scenario, Wrong> {
        let mut entries = file::read(text)?;
        let Some(at) = entries.iter().position(|entry| entry.key == "application") else {
            let names = names().join(", ");
            return Err(Wrong { line: 1, what: format!("the key application is missing; it is one of {names}") });
        };
        let Entry { table, line, value, .. } = entries.remove(at);
        let wrong = |what| Err(Wrong { line, what });
        let app = match (table, value) {
            (Some(table), _) => {
                return wrong(format!("application stands in [{}]; it goes above all tables", table.name));
            }
            (None, Value::Text(name)) => match Application::named(&name) {
                Some(app) => app,
                None => return wrong(unknown_application(&name)),
            },
            _ => return wrong(format!("application: a text is wanted, one of {}", names().join(", "))),
        };
        let mut given: Vec<(Entry, Vec<String>)> = Vec::new();
        for entry in entries {
            let Some(key) = app.option(&entry.key) else { return Err(unknown_key(&app, &entry)) };
            let wrong = |what| Wrong { line: entry.line, what };
            if let Some((first, _)) = given.iter().find(|(other, _)| other.key == entry.key) {
                return Err(wrong(format!("{} is given twice, on line {} too", entry.key, first.line)));
            }
            let words = key.words(&entry.value).map_err(wrong)?;
            if let Some(why) = words.iter().find_map(|word| wrong_value(&app, key, word)) {
                return Err(wrong(why));
            }
            given.push((entry, words));
        }
        Ok(Scenario { app, given })
    }

    /// What is left of the file where options follow it.
    fn kept<'a>(&'a self, options: &'a [OsString]) -> impl Iterator<Item = &'a (Entry, Vec<String>)> {
        let options = || options.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--");
        let names = move |word: &str, key: &str| word.split('=').next().and_then(|w| w.strip_prefix("--")) == Some(key);
        self.given.iter().filter(move |(entry, _)| !options().any(|word| names(&word, &entry.key)))
    }

    fn with(&self, options: &[OsString]) -> Result<Cli, clap::Error> {
        let words = self.kept(options).flat_map(|(_, words)| words).map(OsString::from);
        parse(&self.app, words.chain(options.iter().cloned()))
    }

    /// The key for whose sake the whole is refused, if it is the file's.
    fn blamed(&self, options: &[OsString], error: &clap::Error) -> Option<Wrong> {
        let named = arguments(error, ContextKind::InvalidArg);
        let wrong = |entry: &Entry, what| Some(Wrong { line: entry.line, what });
        match error.kind() {
            ErrorKind::MissingRequiredArgument => {
                let needs = |words: &[String]| {
                    let alone = parse(&self.app, words.iter().map(OsString::from)).err();
                    let alone = alone.filter(|error| error.kind() == ErrorKind::MissingRequiredArgument)?;
                    arguments(&alone, ContextKind::InvalidArg).into_iter().find(|name| named.contains(name))
                };
                let found = self.kept(options).find_map(|(entry, words)| Some((entry, needs(words)?)));
                found.and_then(|(entry, name)| wrong(entry, format!("{} needs {name}, which is not given", entry.key)))
            }
            ErrorKind::ArgumentConflict => {
                let all = [named, arguments(error, ContextKind::PriorArg)].concat();
                let (entry, _) = self.kept(options).find(|(entry, _)| all.contains(&entry.key))?;
                let others = all.into_iter().filter(|name| *name != entry.key).collect::<Vec<_>>().join(", ");
                wrong(entry, format!("{} cannot be given together with {others}", entry.key))
            }
            _ => None,
        }
    }

    /// What tells this scenario from others.
    fn hash(&self) -> u64 {
        let words = self.given.iter().flat_map(|(_, words)| words.iter().map(String::as_str));
        xxh3_64([self.app.name()].into_iter().chain(words).collect::<Vec<_>>().join("\0").as_bytes())
    }
}

/// As the command line would be parsed.
fn parse(app: &Application, words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let command = ["physalia", app.name()].map(OsString::from);
    let mut cli = Cli::command();
    let matches = cli.try_get_matches_from_mut(command.into_iter().chain(words))?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut cli))
}

/// The options that an error speaks of, without dashes and values.
fn arguments(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    let texts = match error.get(kind) {
        Some(ContextValue::String(text)) => std::slice::from_ref(text),
        Some(ContextValue::Strings(texts)) => texts,
        _ => &[],
    };
    let name = |text: &String| text.split([' ', '=']).next().unwrap_or_default().trim_start_matches('-').to_string();
    texts.iter().map(name).collect()
}

/// What is wrong with the value of `--key=value`, whatever else is given.
fn wrong_value(app: &Application, key: Key<'_>, word: &str) -> Option<String> {
    use ErrorKind::{ArgumentConflict, MissingRequiredArgument};
    let error = parse(app, [word.into()]).err()?;
    if matches!(error.kind(), MissingRequiredArgument | ArgumentConflict) {
        return None;
    }
    let value = word.split_once('=').map_or("", |(_, value)| value);
    let shown = template::literal(value);
    let choices = key.choices();
    if !choices.is_empty() {
        let allowed = nearest(value, choices.iter().map(|choice| choice.get_name()));
        return Some(format!("{} = {shown}, but one of these is wanted: {allowed}", key.name));
    }
    let why = error.source().map_or_else(|| "it says nothing".to_string(), ToString::to_string);
    Some(format!("{} = {shown}: {why}{}", key.name, key.told()))
}

fn unknown_key(app: &Application, entry: &Entry) -> Wrong {
    let Entry { key, table, line, .. } = entry;
    if key == "application" {
        return Wrong { line: *line, what: "application is given twice".into() };
    }
    let joined = table.as_ref().map(|table| format!("{}-{key}", table.name));
    let joined = joined.filter(|name| app.option(name).is_some());
    if let (None, Some(table)) = (&joined, table)
        && let Some(option) = app.option(&table.name)
    {
        return Wrong { line: table.line, what: option.wanted(&Value::Table) };
    }
    let mut names: Vec<&str> = app.options().map(|key| key.name).collect();
    names.push("application");
    let near = nearest(joined.as_deref().unwrap_or(key), names);
    Wrong { line: *line, what: format!("{} has no option {key:?}; there are: {near}", app.name()) }
}

#[cfg(test)]
mod tests;
