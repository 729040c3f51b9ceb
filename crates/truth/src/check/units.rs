//! Units after numbers: five miles are not five metres, and five kilometres are five thousand metres.

use std::ops::Range;

use super::numbers::{is_number_word, numbers};
use super::place::Exchange;

/// How far two quantities may differ and still be one, as a part: what is converted is rounded.
const ROUNDED: f64 = 0.01;

/// Units of one kind, by how many of the smallest they are.
const KINDS: &[&[(f64, &str)]] = &[
    &[
        (1.0, "mm millimetre millimetres millimeter millimeters"),
        (10.0, "cm centimetre centimetres centimeter centimeters"),
        (25.4, "inch inches"),
        (304.8, "ft foot feet"),
        (914.4, "yard yards"),
        (1e3, "m metre metres meter meters"),
        (1e6, "km kilometre kilometres kilometer kilometers"),
        (1_609_344.0, "mile miles"),
    ],
    &[
        (1.0, "mg milligram milligrams"),
        (1e3, "g gram grams gramme grammes"),
        (28_349.5, "oz ounce ounces"),
        (453_592.0, "lb lbs pound pounds"),
        (1e6, "kg kilogram kilograms kilo kilos"),
        (1e9, "t ton tons tonne tonnes"),
    ],
    &[
        (1.0, "second seconds"),
        (60.0, "minute minutes"),
        (3600.0, "hour hours"),
        (86_400.0, "day days"),
        (604_800.0, "week weeks"),
    ],
    &[
        (1.0, "month months"),
        (12.0, "year years"),
        (120.0, "decade decades"),
        (1200.0, "century centuries"),
    ],
    &[
        (1.0, "ml millilitre millilitres milliliter milliliters"),
        (1e3, "l litre litres liter liters"),
        (3785.4, "gallon gallons"),
    ],
    &[(1.0, "acre acres"), (2.471, "ha hectare hectares")],
    &[
        (1.0, "kb kilobyte kilobytes"),
        (1e3, "mb megabyte megabytes"),
        (1e6, "gb gigabyte gigabytes"),
        (1e9, "tb terabyte terabytes"),
    ],
    &[
        (1.0, "w watt watts"),
        (1e3, "kw kilowatt kilowatts"),
        (1e6, "mw megawatt megawatts"),
        (1e9, "gw gigawatt gigawatts"),
    ],
    &[(1.0, "% percent")],
    &[(1.0, "dollar dollars")],
    &[(1.0, "euro euros")],
    &[(1.0, "yen")],
    &[(1.0, "yuan")],
    &[(1.0, "crown crowns")],
];

/// A number with its unit.
struct Quantity {
    number: Range<usize>,
    text: String,
    unit: Range<usize>,
    kind: usize,
    /// In the smallest unit of the kind; `None` where words such as "million" make it another one.
    size: Option<f64>,
    factor: f64,
}

/// Whether the evidence has the quantity of one of the claim's numbers in another unit.
pub(super) fn converted(claim: &str, number: &Range<usize>, evidence: &str) -> bool {
    let own = quantities(claim).into_iter().find(|one| one.number == *number);
    let Some(size) = own.as_ref().and_then(|own| own.size) else {
        return false;
    };
    let same = |other: &Quantity| {
        let near = |other: f64| (size - other).abs() <= ROUNDED * size.max(other);
        own.as_ref().is_some_and(|own| own.kind == other.kind) && other.size.is_some_and(near)
    };
    quantities(evidence).iter().any(same)
}

/// The first unit of the claim in whose place, after the same number, the evidence has another one wherever it has any.
pub(super) fn exchanged(claim: &str, evidence: &str) -> Option<Exchange> {
    let there = quantities(evidence);
    quantities(claim).into_iter().find_map(|own| {
        let same =
            |other: &&Quantity| other.kind == own.kind && (other.factor - own.factor).abs() <= ROUNDED * own.factor;
        let others: Vec<&Quantity> = there.iter().filter(|other| other.text == own.text).collect();
        let other = others.first().filter(|_| !others.iter().any(same))?;
        Some((own.unit, evidence[other.unit.clone()].to_owned()))
    })
}

fn quantities(text: &str) -> Vec<Quantity> {
    numbers(text)
        .into_iter()
        .filter_map(|(number, value)| quantity(text, number, value))
        .collect()
}

fn quantity(text: &str, number: Range<usize>, value: String) -> Option<Quantity> {
    let (mut unit, mut multiplied) = (word_after(text, number.end)?, false);
    while is_number_word(&text[unit.clone()].to_lowercase()) {
        (unit, multiplied) = (word_after(text, unit.end)?, true);
    }
    let name = text[unit.clone()].to_lowercase();
    let find = |(kind, units): (usize, &&[(f64, &str)])| {
        let found = units
            .iter()
            .find(|(_, names)| names.split_whitespace().any(|one| one == name));
        found.map(|(factor, _)| (kind, *factor))
    };
    let (kind, factor) = KINDS.iter().enumerate().find_map(find)?;
    let size = value
        .parse::<f64>()
        .ok()
        .filter(|_| !multiplied)
        .map(|value| value * factor);
    Some(Quantity {
        number,
        text: value,
        unit,
        kind,
        size,
        factor,
    })
}

/// The word or percent sign right after a place, a space or hyphen between.
fn word_after(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let start = rest.find(|c: char| !matches!(c, ' ' | '-' | '\u{a0}' | '\u{202f}'))?;
    let rest = &rest[start..];
    let len = match rest.chars().next()? {
        '%' => 1,
        c if start <= 2 && c.is_alphabetic() => rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len()),
        _ => return None,
    };
    Some(at + start..at + start + len)
}

#[cfg(test)]
mod tests {
    use super::super::rules::signs;

    const EVIDENCE: &str = "The canal is 5 km long and 12 feet deep. It was dug in 7 years, cost 2 million crowns and lost 3% of its water.";

    #[test]
    fn a_unit_in_the_place_of_another_is_named() {
        let of = |claim: &str| {
            signs(claim, EVIDENCE)
                .exchanged
                .map(|(range, other)| (claim[range].to_owned(), other))
        };
        let named = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(of("The canal is 5 miles long."), named("miles", "km"));
        assert_eq!(of("The canal is 5 kilometres long."), None);
        assert_eq!(of("It was dug in seven days."), named("days", "years"));
        assert_eq!(of("It cost 2 million dollars."), named("dollars", "crowns"));
        assert_eq!(of("It lost 3 percent of its water."), None);
    }

    #[test]
    fn a_quantity_in_another_unit_is_the_same() {
        let missing = |claim: &str| signs(claim, EVIDENCE).numbers.len();
        assert_eq!(missing("The canal is 5,000 metres long."), 0);
        assert_eq!(missing("The canal is 3.1 miles long and 3.66 m deep."), 0);
        assert_eq!(missing("The canal is 6,000 metres long."), 1);
        assert_eq!(missing("The canal is 5,000 tons long."), 1);
    }

    #[test]
    fn any_text_is_taken() {
        for text in [
            "5",
            "5 ",
            "5 %",
            "5\u{a0}km",
            "five million million",
            "1e999 km",
            "٣ km",
        ] {
            signs(text, EVIDENCE);
            signs(EVIDENCE, text);
        }
    }
}
