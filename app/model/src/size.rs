//! Bytes for people, in decimal units, and percentages that add up to 100.

/// `2_750_000_000` as `2.75 GB`, `412_300_000` as `412.3 MB`, `999` as `999 B`: three or four significant digits.
#[must_use]
pub fn display(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // Hundredths of the unit, rounded half up; the unit grows when rounding reaches 1000.
    let (mut unit, mut scale) = (0, 1000_u128);
    while unit + 1 < UNITS.len() && (u128::from(bytes) * 10 + scale / 2) / scale >= 9_999 {
        unit += 1;
        scale *= 1000;
    }
    let hundredths = (u128::from(bytes) * 100 + scale / 2) / scale;
    if hundredths >= 10_000 {
        let tenths = (u128::from(bytes) * 10 + scale / 2) / scale;
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{}.{:02} {}", hundredths / 100, hundredths % 100, UNITS[unit])
    }
}

/// Whole percentages of the parts that add up to 100 by the largest remainder; all zero when the sum is zero.
#[must_use]
pub fn percentages(parts: &[u64]) -> Vec<u64> {
    let sum: u128 = parts.iter().map(|p| u128::from(*p)).sum();
    if sum == 0 {
        return vec![0; parts.len()];
    }
    let share = |part: u64| u128::from(part) * 100;
    let mut whole: Vec<u128> = parts.iter().map(|p| share(*p) / sum).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(share(parts[*i]) % sum));
    let missing = 100_u128.saturating_sub(whole.iter().sum());
    for index in order.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
        whole[index] += 1;
    }
    whole.into_iter().map(|w| u64::try_from(w).unwrap_or(100)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (2_750_000_000, "2.75 GB"),
            (412_300_000, "412.3 MB"),
            (99_999, "100.0 kB"),
            (999_990, "1.00 MB"),
            (u64::MAX, "18.45 EB"),
        ] {
            assert_eq!(display(bytes), text);
        }
    }

    #[test]
    fn percentages_add_up() {
        assert_eq!(percentages(&[452, 387, 258, 157]), vec![36, 31, 21, 12]);
        assert_eq!(percentages(&[1, 1, 1]).iter().sum::<u64>(), 100);
        assert_eq!(percentages(&[0, 0]), vec![0, 0]);
    }
}
