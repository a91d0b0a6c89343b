//! A scenario to start from: all that an application can be told, from the definitions of its command line.

use super::options::{Application, Key};
use std::fmt::Write;

/// The longest line of a comment.
const WIDTH: usize = 100;

/// All keys with their help, those with a default with it; nothing is given but the application.
pub fn of(app: &Application) -> String {
    let name = app.name();
    let mut text = format!(
        "# {}.\n#\n#     physalia run {name}.toml\n#     physalia run {name}.toml --json -     # options that follow override the file's\n#\n\
         # Take the # before a key away to give it. What is shown is the default, or in capitals what is wanted.\n\n\
         application = {name:?}\n",
        app.about()
    );
    let keys: Vec<Key<'_>> = app.options().collect();
    let mut headings = vec![None];
    for heading in keys.iter().map(|key| key.heading()) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        if let Some(heading) = &heading {
            write!(text, "\n[{}]\n", heading.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
                .expect("a String takes all");
        }
        keys.iter().filter(|key| key.heading() == heading).for_each(|key| text.push_str(&entry(key)));
    }
    text
}

fn entry(key: &Key<'_>) -> String {
    let mut text = String::from("\n");
    let choices = key.choices();
    wrapped(&mut text, &key.help(), "# ");
    for choice in &choices {
        let help = choice.get_help().map_or(String::new(), |help| format!(": {help}"));
        wrapped(&mut text, &format!("{:?}{help}", choice.get_name()), "#   ");
    }
    let value = match key.default() {
        _ if key.is_flag() => "true".into(),
        Some(default) => literal(&default),
        None if key.is_many() => format!("[{:?}]", key.value_name()),
        None => format!("{:?}", key.value_name()),
    };
    text + &format!("# {} = {value}\n", key.name)
}

/// As TOML has it: numbers plain, other texts in quotes.
pub fn literal(text: &str) -> String {
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.parse::<f64>().is_ok();
    if number { text.into() } else { format!("{text:?}") }
}

/// Lines of at most [`WIDTH`] letters, where words allow.
fn wrapped(text: &mut String, words: &str, begin: &str) {
    let mut line = begin.trim_end().to_string();
    let indent = &begin[line.len()..];
    let mut first = true;
    for word in words.split_whitespace() {
        if !first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            (line, first) = (begin.trim_end().into(), true);
        }
        line.push_str(if first { indent } else { " " });
        line.push_str(word);
        first = false;
    }
    text.push_str(&line);
    text.push('\n');
}
