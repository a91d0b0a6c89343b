//! Patterns of Life, by name or from a file in the form RLE (run length encoded), as collections of patterns have them.

use std::fmt;

/// Living cells of a small rectangle, rows from above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    rows: Vec<Vec<bool>>,
    width: usize,
}

/// What is wrong with a file, and on which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern {
    /// From 1.
    pub line: usize,
    /// In words.
    pub why: String,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for BadPattern {}

/// The patterns that have a name.
pub const NAMED: [(&str, &str); 5] = [
    ("r-pentomino", "b2o$2o$bo!"),
    ("acorn", "bo$3bo$2o2b3o!"),
    ("diehard", "6bo$2o$bo3b3o!"),
    ("pi-heptomino", "3o$obo$obo!"),
    ("glider", "bo$2bo$3o!"),
];

/// The widest and highest pattern.
const MOST: usize = 1 << 16;

impl Pattern {
    /// The pattern of this name.
    pub fn named(name: &str) -> Option<Pattern> {
        let (_, rle) = NAMED.iter().find(|(known, _)| *known == name)?;
        Pattern::rle(rle).ok()
    }

    /// From RLE: lines that begin with `#` are comments, `x = 3, y = 3, rule = B3/S23` may tell the size and the rule, then come
    /// cells: `b` or `.` dead, any other letter alive, `$` the end of a row, `!` the end, each with a number for so many.
    ///
    /// # Errors
    /// If it is not in that form, is of another rule, or is wider or higher than 65,536 cells.
    pub fn rle(text: &str) -> Result<Pattern, BadPattern> {
        let (mut rows, mut row, mut size) = (Vec::new(), Vec::new(), [0; 2]);
        let mut count: Option<usize> = None;
        let mut ended = false;
        'lines: for (number, line) in text.lines().enumerate() {
            let bad = |why: String| BadPattern { line: number + 1, why };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with('x') && line.contains('=') {
                size = header(line).map_err(bad)?;
                continue;
            }
            for letter in line.chars().filter(|letter| !letter.is_whitespace()) {
                if let Some(digit) = letter.to_digit(10) {
                    count = Some(count.unwrap_or(0) * 10 + digit as usize);
                    if count > Some(MOST) {
                        return Err(bad(format!("a run of more than {MOST} cells")));
                    }
                    continue;
                }
                let run = count.take().unwrap_or(1);
                match letter {
                    '!' => {
                        ended = true;
                        break 'lines;
                    }
                    '$' => {
                        rows.push(std::mem::take(&mut row));
                        rows.resize(rows.len() + run.saturating_sub(1), Vec::new());
                    }
                    '.' => row.resize(row.len() + run, false),
                    letter if letter.is_ascii_alphabetic() => row.resize(row.len() + run, letter != 'b'),
                    other => return Err(bad(format!("{other:?} is no cell"))),
                }
                if row.len() > MOST || rows.len() >= MOST {
                    return Err(bad(format!("a pattern of more than {MOST} cells along one side")));
                }
            }
        }
        if !ended {
            let why = "the pattern has no end, which is '!'".into();
            return Err(BadPattern { line: text.lines().count().max(1), why });
        }
        rows.push(row);
        let width = rows.iter().map(Vec::len).max().unwrap_or(0).max(size[0]).max(1);
        rows.resize(rows.len().max(size[1]), Vec::new());
        Ok(Pattern { rows, width })
    }

    /// Width and height.
    pub fn size(&self) -> [u64; 2] {
        [self.width as u64, self.rows.len() as u64]
    }

    /// Whether a cell lives: `x` from the left, `row` from above. None does outside.
    pub fn lives(&self, x: u64, row: u64) -> bool {
        let row = self.rows.get(usize::try_from(row).unwrap_or(usize::MAX));
        row.and_then(|row| row.get(usize::try_from(x).ok()?)).copied().unwrap_or(false)
    }

    /// What tells it from others.
    pub(super) fn hash(&self) -> u64 {
        let bytes: Vec<u8> =
            self.rows.iter().flat_map(|row| row.iter().map(|&lives| u8::from(lives)).chain([2])).collect();
        xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, self.width as u64)
    }
}

/// `x = 3, y = 3, rule = B3/S23`
fn header(line: &str) -> Result<[usize; 2], String> {
    let mut size = [0; 2];
    for part in line.split(',') {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is no setting"))?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "x" | "y" => {
                let n = value.parse().ok().filter(|n| *n <= MOST);
                size[usize::from(key == "y")] =
                    n.ok_or_else(|| format!("{key} = {value}: a number up to {MOST} is wanted"))?;
            }
            "rule" if !["b3/s23", "23/3"].contains(&value.to_ascii_lowercase().as_str()) => {
                return Err(format!("the rule {value}: only B3/S23 is played here"));
            }
            _ => {}
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(pattern: &Pattern) -> Vec<String> {
        let [w, h] = pattern.size();
        let row = |y| (0..w).map(|x| if pattern.lives(x, y) { 'O' } else { '.' }).collect();
        (0..h).map(row).collect()
    }

    #[test]
    fn a_file_is_read() {
        let glider = Pattern::rle("#C a glider\nx = 3, y = 4, rule = B3/S23\nbob$2b\no$3o!ignored").unwrap();
        assert_eq!(drawn(&glider), [".O.", "..O", "OOO", "..."]);
        assert_eq!(drawn(&Pattern::rle("2$12o!").unwrap()), ["............", "............", "OOOOOOOOOOOO"]);
        for (name, _) in NAMED {
            let alive = drawn(&Pattern::named(name).unwrap()).concat().matches('O').count();
            assert!((5..=7).contains(&alive), "{name}: {alive}");
        }
        assert_eq!(Pattern::named("nothing"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, line, why) in [
            ("x = 3, y = 3\n3o$3o", 2, "has no end"),
            ("3o\n?!", 2, "'?' is no cell"),
            ("x = 3, y = 3, rule = B36/S23\no!", 1, "only B3/S23"),
            ("x = -3, y = 3\no!", 1, "x = -3"),
            ("99999999o!", 1, "a run of more than"),
            ("65000o65000o!", 1, "more than 65536 cells along"),
            ("", 1, "has no end"),
        ] {
            let bad = Pattern::rle(text).unwrap_err();
            assert!(bad.line == line && bad.why.contains(why), "{text:?}: {bad}");
        }
    }
}
