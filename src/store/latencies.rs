//! The durations of many requests as a histogram, which tells any percentile within 1 % however
//! many they are, and adds up.

use hdrhistogram::Histogram;
use prost::encoding::{decode_varint, encode_varint};

use crate::error::Error;

/// The longest latency that is told from longer ones: an hour.
const MICROS_MAX: u64 = 3600 * 1_000_000;
/// The digits of precision: with two a bucket is at most 1/128 of its values wide.
const DIGITS: u8 = 2;
/// The first of the bytes, which is their version.
const VERSION: u8 = 1;

/// The latencies of many requests, in microseconds.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u32>);

impl Default for Latencies {
    fn default() -> Self {
        // It grows with the longest latency: most endpoints never need the whole range.
        Self(Histogram::new(DIGITS).expect("two digits are within the bounds"))
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, micros: u64) {
        self.record_n(micros, 1);
    }

    fn record_n(&mut self, micros: u64, count: u32) {
        let within = micros.clamp(1, MICROS_MAX);
        self.0.record_n(within, count).expect("it grows as far as the longest latency");
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("it grows as far as the longest latency");
    }

    /// The latency that `share` (0 to 1) of the requests did not exceed, within 1 %.
    pub fn quantile(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }

    /// A byte for the version, then for each bucket that is not empty how far its highest value is
    /// from that of the one before, and how many latencies it has, both as LEB128.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let mut before = 0;
        for bucket in self.0.iter_recorded() {
            let value = bucket.value_iterated_to();
            encode_varint(value - before, &mut bytes);
            encode_varint(bucket.count_at_value().into(), &mut bytes);
            before = value;
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let foreign = || Error::internal("latencies are written in a way that this version lacks");
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return Err(foreign()) };
        let (mut latencies, mut value) = (Self::default(), 0_u64);
        while !rest.is_empty() {
            let step = decode_varint(&mut rest).map_err(|_| foreign())?;
            let count = decode_varint(&mut rest).map_err(|_| foreign())?;
            value = value.saturating_add(step);
            latencies.record_n(value, u32::try_from(count).map_err(|_| foreign())?);
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHARES: [f64; 5] = [0.0, 0.5, 0.95, 0.99, 1.0];

    /// The latency at a share of sorted ones.
    fn exact(sorted: &[u64], share: f64) -> u64 {
        let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted[rank - 1]
    }

    proptest! {
        #[test]
        fn every_percentile_is_within_one_percent(
            mut micros in proptest::collection::vec(1..MICROS_MAX, 1..300),
            split in 0..300_usize,
        ) {
            // In two parts, one of which has been stored.
            let (mut all, mut part) = (Latencies::default(), Latencies::default());
            for (index, micros) in micros.iter().enumerate() {
                if index < split { all.record(*micros) } else { part.record(*micros) }
            }
            all.add(&Latencies::from_bytes(&part.to_bytes()).expect("its own bytes"));
            micros.sort_unstable();
            for share in SHARES {
                let (told, exact) = (all.quantile(share), exact(&micros, share));
                prop_assert!(told.abs_diff(exact) as f64 <= exact as f64 / 100.0, "{told} {exact}");
            }
        }

        #[test]
        fn bytes_of_others_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            // Whatever they are, they are read or refused.
            let _ = Latencies::from_bytes(&bytes);
        }
    }

    #[test]
    fn what_is_out_of_range_counts_as_the_nearest_that_is_in_it() {
        let mut latencies = Latencies::default();
        latencies.record(0);
        latencies.record(u64::MAX);
        assert_eq!(latencies.quantile(0.5), 1);
        let longest = latencies.quantile(1.0);
        assert!(longest.abs_diff(MICROS_MAX) <= MICROS_MAX / 100, "{longest}");
        assert!(Latencies::from_bytes(&[]).is_err());
        assert!(Latencies::from_bytes(&[VERSION, 0x80]).is_err());
    }

    #[test]
    fn many_latencies_are_few_bytes() {
        let mut latencies = Latencies::default();
        // 100 µs to 100 ms, as far apart as the buckets are.
        for index in 0..100_000 {
            latencies.record(100 + index);
        }
        assert!(latencies.to_bytes().len() < 5_000, "{}", latencies.to_bytes().len());
    }
}
