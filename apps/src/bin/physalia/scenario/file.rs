//! A scenario's text as keys with values and lines. The library for TOML is named here only.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    /// The table that it stands in, as `[files]`; `None` before the first.
    pub table: Option<Heading>,
    pub line: usize,
    pub value: Value,
}

/// A table's name, and the line where it is first named.
#[derive(Clone, Debug, PartialEq)]
pub struct Heading {
    pub name: String,
    pub line: usize,
}

/// What a key is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Text(String),
    /// As it is written, so that no digit is lost: `1e4` stays `1e4`.
    Number(String),
    Date,
    /// `{ … }`, and tables in arrays.
    Table,
    Array(Vec<Value>),
}

/// What is wrong, and on which line.
#[derive(Debug, PartialEq)]
pub struct Wrong {
    pub line: usize,
    pub what: String,
}

/// The keys of a scenario, in their order, out of all its tables.
///
/// # Errors
/// If it is no TOML; a key that a table has twice is none.
pub fn read(text: &str) -> Result<Vec<Entry>, Wrong> {
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        // A key, where it is one that is wrong.
        let word = text.get(span.clone()).map(str::trim).filter(|word| !word.is_empty() && !word.contains('\n'));
        let word = word.map_or(String::new(), |word| format!(": {word}"));
        Wrong { line: line(text, span.start), what: format!("{}{word}", error.message().replace('\n', ", ")) }
    })?;
    let mut entries = Vec::new();
    collect(text, table.get_ref(), None, &mut entries);
    Ok(entries)
}

fn collect(text: &str, table: &DeTable<'_>, heading: Option<&Heading>, entries: &mut Vec<Entry>) {
    for (key, value) in table {
        let (name, line) = (key.get_ref().to_string(), line(text, key.span().start));
        match value.get_ref() {
            DeValue::Table(inner) if !text[value.span().start..].starts_with('{') => {
                collect(text, inner, Some(&Heading { name, line }), entries);
            }
            _ => entries.push(Entry { key: name, table: heading.cloned(), line, value: plain(value) }),
        }
    }
}

fn plain(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Number(decimal(number)),
        DeValue::Float(number) => Value::Number(number.as_str().into()),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Table(_) => Value::Table,
        DeValue::Array(values) => Value::Array(values.iter().map(plain).collect()),
    }
}

/// `0x10` as `16`; what is too large for any option stays as it is written.
fn decimal(number: &DeInteger<'_>) -> String {
    i128::from_str_radix(number.as_str(), number.radix()).map_or_else(|_| number.to_string(), |n| n.to_string())
}

/// The line of this byte, from 1.
fn line(text: &str, byte: usize) -> usize {
    1 + text.as_bytes().iter().take(byte).filter(|&&b| b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_values_and_lines() {
        let text = "a = 1e4\nb = [0x10, 1_000, -0.50] # c\n\n[files]\n\"c\" = '''x\ny'''\nd = true\ne = { f = 1 }\nf = 1979-05-27\n";
        let entries = read(text).unwrap();
        let number = |text: &str| Value::Number(text.into());
        let files = Some(Heading { name: "files".into(), line: 4 });
        let entry = |key: &str, table: &Option<Heading>, line, value| Entry {
            key: key.into(),
            table: table.clone(),
            line,
            value,
        };
        let expected = [
            entry("a", &None, 1, number("1e4")),
            entry("b", &None, 2, Value::Array(vec![number("16"), number("1000"), number("-0.50")])),
            entry("c", &files, 5, Value::Text("x\ny".into())),
            entry("d", &files, 7, Value::Bool(true)),
            entry("e", &files, 8, Value::Table),
            entry("f", &files, 9, Value::Date),
        ];
        assert_eq!(entries, expected);
        let tables = read("[[a]]\nb = 1\n[c.d]\ne = 'é'\nf.g = 2").unwrap();
        assert_eq!((&tables[0].key, &tables[0].value), (&"a".into(), &Value::Array(vec![Value::Table])));
        assert_eq!((&tables[1].key, tables[1].line, &tables[2].key, tables[2].line), (&"e".into(), 4, &"g".into(), 5));
    }

    #[test]
    fn what_is_no_toml_has_its_line() {
        for (text, line, says) in [
            ("a = 1\n\na = 2", 3, "duplicate key: a"),
            ("[t]\na = 1\n[t]\nb = 2", 3, "duplicate key"),
            ("a = 1\nb = N\n", 2, "N"),
            ("a = 1\nb\n", 2, ""),
            ("é = 1", 1, ""),
            ("a = \"x", 1, ""),
        ] {
            let wrong = read(text).unwrap_err();
            assert!(wrong.line == line && wrong.what.contains(says), "{text:?}: {wrong:?}");
            assert!(!wrong.what.contains('\n') && !wrong.what.is_empty(), "{wrong:?}");
        }
    }
}
