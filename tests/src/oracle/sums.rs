//! The rule of sums, written plainly: one column for each power of two, and a loop over lanes.

/// Columns from 2^-1074 up, enough for 2^64 values of any size.
const COLUMNS: usize = 2200;

/// The exact sum of these numbers, rounded once to the nearest `f64`, ties to even; +0.0 if it is zero.
pub fn exact(terms: impl IntoIterator<Item = f64>) -> f64 {
    let (mut columns, mut special) = (vec![0i64; COLUMNS], 0.0);
    for x in terms {
        if !x.is_finite() {
            special += x; // infinities of both signs make NaN
            continue;
        }
        let (exponent, fraction) = (x.to_bits() >> 52 & 0x7ff, x.to_bits() & ((1 << 52) - 1));
        let (mantissa, first) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        for bit in 0..53 {
            let one = (mantissa >> bit & 1).cast_signed();
            columns[first as usize + bit] += if x.is_sign_negative() { -one } else { one };
        }
    }
    if special != 0.0 {
        return if special.is_nan() { f64::NAN } else { special };
    }
    carry(&mut columns);
    let sign = if columns[COLUMNS - 1] < 0 { -1.0 } else { 1.0 };
    if sign < 0.0 {
        columns.iter_mut().for_each(|c| *c = -*c);
        carry(&mut columns);
    }
    let Some(top) = columns.iter().rposition(|&c| c != 0) else { return 0.0 };
    let last = top.saturating_sub(52); // the column of the result's last bit
    let kept = columns[last..=top].iter().rev().fold(0u64, |bits, &c| bits << 1 | c.cast_unsigned());
    let half = last > 0 && columns[last - 1] == 1;
    let more = last > 0 && columns[..last - 1].contains(&1);
    let rounded = kept + u64::from(half && (more || kept % 2 == 1));
    // Doubling is exact, or goes beyond the largest.
    sign * (0..last).fold(rounded as f64 * f64::from_bits(1), |x, _| x * 2.0)
}

/// Every column 0 or 1 but the last, which has the sign.
fn carry(columns: &mut [i64]) {
    for i in 0..COLUMNS - 1 {
        columns[i + 1] += columns[i].div_euclid(2);
        columns[i] = columns[i].rem_euclid(2);
    }
}

/// The sum of one block: eight lanes in turn, then those four apart, two apart, one apart.
pub fn block(terms: impl IntoIterator<Item = f64>) -> f64 {
    let mut lanes = [0.0; 8];
    terms.into_iter().enumerate().for_each(|(i, x)| lanes[i % 8] += x);
    for apart in [4, 2, 1] {
        (0..apart).for_each(|lane| lanes[lane] += lanes[lane + apart]);
    }
    lanes[0]
}

/// The sum of terms with the indices from `start` on: blocks end at multiples of 4,096.
pub fn by_the_rule(start: u64, terms: &[f64]) -> f64 {
    let first = (4096 - start as usize % 4096).min(terms.len());
    let blocks = [&terms[..first]].into_iter().chain(terms[first..].chunks(4096));
    exact(blocks.map(|terms| block(terms.iter().copied())))
}

/// The norm by the rule, from its sum of squares: scaled where squares might not be in range.
pub fn norm(values: &[f64], sum: impl Fn(&[f64]) -> f64) -> f64 {
    let squares = |scale: f64| sum(&values.iter().map(|v| (v * scale) * (v * scale)).collect::<Vec<_>>());
    match squares(1.0) {
        plain if plain == f64::INFINITY => squares(2f64.powi(-600)).sqrt() * 2f64.powi(600),
        plain if plain < 2f64.powi(-900) => squares(2f64.powi(600)).sqrt() * 2f64.powi(-600),
        plain => plain.sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oracle_is_right_where_it_is_easy() {
        assert_eq!(exact([1e308, 1e308, -1e308, 1.5, -1e308]), 1.5);
        assert_eq!(exact([f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(exact([-5e-324, -5e-324, -5e-324]), -15e-324);
        assert_eq!(exact([1.0, 2f64.powi(-53)]), 1.0);
        assert_eq!(exact([1.0, 2f64.powi(-53), 5e-324]), 1.0 + f64::EPSILON);
        assert_eq!(exact([f64::MAX, 2f64.powi(969)]), f64::MAX);
        assert_eq!(exact([f64::MAX, 2f64.powi(970)]), f64::INFINITY);
        assert!(exact([f64::INFINITY, f64::NEG_INFINITY]).is_nan() && exact([f64::NAN, 1.0]).is_nan());
        assert!(exact([-0.0]).is_sign_positive() && exact([]) == 0.0);
        for e in 0..2047u64 {
            let x = f64::from_bits(e << 52 | (e * 0x9_1234_5678_9abc) & ((1 << 52) - 1));
            assert_eq!((exact([x]), exact([-x, -x, x])), (x, -x));
        }
        assert_eq!(norm(&[3e300, 4e300], |v| by_the_rule(0, v)), 5e300);
    }
}
