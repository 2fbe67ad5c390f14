//! How much of one thing was done in a second, measured in turns with others.

/// Who comes after whom in a round: each begins once, so that nobody is always behind the same other.
pub(crate) fn turns(round: usize, sides: usize) -> impl Iterator<Item = usize> {
    (0..sides).map(move |step| (round + step) % sides)
}

/// One rate for each round, in the order of the rounds; never none.
#[derive(Debug, Clone)]
pub(crate) struct Rates(Vec<f64>);

impl Rates {
    /// # Panics
    ///
    /// If there are none: nothing was measured then, which is a mistake of the measurement.
    pub(crate) fn new(rates: Vec<f64>) -> Self {
        assert!(!rates.is_empty(), "something was measured");
        Self(rates)
    }

    /// The one in the middle; of two in the middle, the higher.
    pub(crate) fn median(&self) -> f64 {
        rank(&self.0, 0.5)
    }

    /// The middle half: a quarter of the rounds was below, a quarter above.
    pub(crate) fn middle_half(&self) -> (f64, f64) {
        (rank(&self.0, 0.25), rank(&self.0, 0.75))
    }

    /// How many times `base` goes into this, round by round: what disturbs a round disturbs both.
    pub(crate) fn over(&self, base: &Self) -> Self {
        Self::new(self.0.iter().zip(&base.0).map(|(own, base)| own / base).collect())
    }
}

fn rank(rates: &[f64], share: f64) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() as f64 * share) as usize;
    sorted[place.min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_each_round() {
        let (ours, theirs) = (Rates::new(vec![9.0, 40.0, 99.0]), Rates::new(vec![10.0, 80.0, 100.0]));
        assert_eq!(ours.over(&theirs).median(), 0.9);
        assert_eq!(ours.median(), 40.0);
    }

    #[test]
    fn each_begins_once() {
        let orders: Vec<Vec<usize>> = (0..3).map(|round| turns(round, 3).collect()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
    }

    #[test]
    fn the_middle_half_has_a_quarter_on_either_side() {
        let rates = Rates::new((1..=9).map(f64::from).collect());
        assert_eq!(rates.middle_half(), (3.0, 7.0));
        assert_eq!(Rates::new(vec![1.0]).middle_half(), (1.0, 1.0));
    }
}
