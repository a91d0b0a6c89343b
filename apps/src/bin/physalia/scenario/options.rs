//! What a scenario may say: the applications, and the options of each as clap has them, so that a new application or option
//! needs nothing here.

use super::file::Value;
use crate::args::{Cli, Job};
use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Args, Command, CommandFactory};

/// An application: a command that runs a job and has options of its own.
pub struct Application(Command);

/// All applications, in the order of the help.
fn all() -> impl Iterator<Item = Application> {
    let job = Job::augment_args(Command::new("job"));
    let job: Vec<_> = job.get_arguments().map(|arg| arg.get_id().clone()).collect();
    let commands: Vec<_> = Cli::command().get_subcommands().cloned().collect();
    commands.into_iter().map(Application).filter(move |app| {
        job.iter().all(|id| app.0.get_arguments().any(|arg| arg.get_id() == id)) && app.options().count() > job.len()
    })
}

/// The names of all applications.
pub fn names() -> Vec<String> {
    all().map(|app| app.name().to_string()).collect()
}

impl Application {
    /// The application of this name.
    pub fn named(name: &str) -> Option<Application> {
        all().find(|app| app.name() == name)
    }

    pub fn name(&self) -> &str {
        self.0.get_name()
    }

    /// What it does, in a line.
    pub fn about(&self) -> String {
        self.0.get_about().map(ToString::to_string).unwrap_or_default()
    }

    /// Its options, in the order of the help.
    pub fn options(&self) -> impl Iterator<Item = Key<'_>> {
        self.0.get_arguments().filter_map(|arg| Some(Key { name: arg.get_long()?, arg })).filter(|key| !key.speaks())
    }

    /// The option of this name.
    pub fn option(&self, name: &str) -> Option<Key<'_>> {
        self.options().find(|key| key.name == name)
    }
}

/// An option.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub name: &'a str,
    arg: &'a Arg,
}

impl Key<'_> {
    /// `--help` and its like.
    fn speaks(&self) -> bool {
        use ArgAction::{Help, HelpLong, HelpShort, Version};
        matches!(self.arg.get_action(), Help | HelpLong | HelpShort | Version)
    }

    pub fn is_flag(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::SetTrue)
    }

    /// Whether it may be given several times.
    pub fn is_many(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
    }

    pub fn help(&self) -> String {
        self.arg.get_help().map(ToString::to_string).unwrap_or_default()
    }

    /// The part of the help that it stands in, if it has a name.
    pub fn heading(&self) -> Option<String> {
        self.arg.get_help_heading().map(ToString::to_string)
    }

    pub fn choices(&self) -> Vec<PossibleValue> {
        if self.is_flag() { Vec::new() } else { self.arg.get_possible_values() }
    }

    pub fn default(&self) -> Option<String> {
        let values = self.arg.get_default_values();
        (!self.is_flag()).then(|| values.first().map(|value| value.to_string_lossy().into_owned()))?
    }

    /// What stands for its value in the help, as `FILE`.
    pub fn value_name(&self) -> String {
        let names = self.arg.get_value_names().unwrap_or_default();
        names.first().map_or_else(|| self.name.to_uppercase(), ToString::to_string)
    }

    /// The words on a command line that give it this value.
    ///
    /// # Errors
    /// If the value is of a kind that the option does not take.
    pub fn words(&self, value: &Value) -> Result<Vec<String>, String> {
        match value {
            Value::Bool(yes) if self.is_flag() => Ok(Vec::from_iter(yes.then(|| format!("--{}", self.name)))),
            Value::Array(values) if self.is_many() => values.iter().map(|value| self.word(value)).collect(),
            value if !self.is_flag() => Ok(vec![self.word(value)?]),
            _ => Err(self.wanted(value)),
        }
    }

    fn word(&self, value: &Value) -> Result<String, String> {
        let text = match value {
            Value::Array(parts) => {
                let texts = parts.iter().map(scalar).collect::<Option<Vec<_>>>().ok_or_else(|| self.wanted(value))?;
                let numbers = parts.iter().all(|part| matches!(part, Value::Number(_)));
                texts.join(if numbers && !self.value_name().contains(',') { "x" } else { "," })
            }
            value => scalar(value).ok_or_else(|| self.wanted(value))?.to_string(),
        };
        Ok(format!("--{}={text}", self.name))
    }

    /// That this is of the wrong kind.
    pub fn wanted(&self, value: &Value) -> String {
        let (is, wanted) = (kind(value), if self.is_flag() { "true or false" } else { "a value" });
        format!("{} is {is}, but {wanted} is wanted{}", self.name, self.told())
    }

    /// Its help, or what it may be, behind a message.
    pub fn told(&self) -> String {
        let choices = self.choices();
        if choices.is_empty() {
            return format!(": {}", self.help());
        }
        let names: Vec<_> = choices.iter().map(|choice| format!("{:?}", choice.get_name())).collect();
        format!(": {}", names.join(", "))
    }
}

fn scalar(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Number(text) => Some(text),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::Text(_) => "a text",
        Value::Number(_) => "a number",
        Value::Date => "a date",
        Value::Table => "a table",
        Value::Array(_) => "an array",
    }
}

/// Names, those first whose spelling is nearest to `word`.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| distance(word, name));
    names.join(", ")
}

/// How many letters must be changed, put in or taken out, or swapped with the next one, for `a` to become `b` (the optimal
/// string alignment; Damerau, CACM 7(3), 1964).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swapped = if swapped { table[i - 2][j - 2] + 1 } else { usize::MAX };
                changed.min(swapped).min(table[i - 1][j] + 1).min(table[i][j - 1] + 1)
            };
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scenario can say all that an application can be told on a command line.
    #[test]
    fn every_option_is_a_key() {
        assert!(names().contains(&"heat".to_string()), "{:?}", names());
        for name in ["topo", "demo", "kmers", "run", "man"] {
            assert!(Application::named(name).is_none(), "{name}");
        }
        for app in all() {
            for arg in app.0.get_arguments().filter(|arg| !arg.is_positional()) {
                let name = arg.get_long().expect("a long name");
                let key = Key { name, arg };
                let one = arg.get_num_args().is_none_or(|n| n.min_values() <= 1 && n.max_values() <= 1);
                let known = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Set | ArgAction::Append);
                assert!(key.speaks() || (one && known && !key.help().is_empty()), "{} --{name}", app.name());
            }
            assert!(app.0.get_positionals().next().is_none(), "{} has values without names", app.name());
        }
    }

    #[test]
    fn values_become_words() {
        let app = Application::named("heat").unwrap();
        let words = |name: &str, value: &Value| app.option(name).unwrap().words(value);
        let number = |text: &str| Value::Number(text.into());
        let text = |text: &str| Value::Text(text.into());
        let pair = |a, b| Value::Array(vec![a, b]);
        assert_eq!(words("steps", &number("1e4")), Ok(vec!["--steps=1e4".into()]));
        assert_eq!(words("cells", &pair(number("20"), number("30"))), Ok(vec!["--cells=20x30".into()]));
        assert_eq!(words("movie-scale", &pair(number("-1"), number("1"))), Ok(vec!["--movie-scale=-1,1".into()]));
        let slices = pair(text("z=1:a.npy"), text("y=1:b.npy"));
        assert_eq!(words("slice", &slices), Ok(vec!["--slice=z=1:a.npy".into(), "--slice=y=1:b.npy".into()]));
        assert_eq!(words("slice", &text("z=1:a.npy")), Ok(vec!["--slice=z=1:a.npy".into()]));
        for bad in [Value::Bool(true), Value::Date, Value::Table, Value::Array(vec![Value::Table])] {
            assert!(words("steps", &bad).unwrap_err().contains("a value is wanted: Time steps"), "{bad:?}");
        }
        let command = Command::new("x").arg(Arg::new("read").long("read").action(ArgAction::SetTrue));
        let app = Application(command);
        let words = |value: &Value| app.option("read").unwrap().words(value);
        assert_eq!((words(&Value::Bool(true)), words(&Value::Bool(false))), (Ok(vec!["--read".into()]), Ok(vec![])));
        assert!(words(&number("1")).unwrap_err().contains("read is a number, but true or false is wanted"));
    }

    #[test]
    fn the_nearest_comes_first() {
        assert_eq!((distance("", "abc"), distance("stpes", "steps"), distance("kitten", "sitting")), (3, 1, 3));
        assert_eq!(nearest("stpes", ["cells", "steps", "seed"]), "steps, seed, cells");
        assert_eq!(nearest("heta", ["wave", "heat"]), "heat, wave");
    }
}
