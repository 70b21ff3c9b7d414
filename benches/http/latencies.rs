//! How long answers took, in buckets that are at most 3 % wide.

/// Each power of two is cut into this many buckets.
const CUT_BITS: u32 = 5;
const CUTS: usize = 1 << CUT_BITS;

/// Counts of nanoseconds by bucket.
pub struct Latencies {
    buckets: Vec<u32>,
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; CUTS * (64 - CUT_BITS as usize + 1)], count: 0 }
    }
}

impl Latencies {
    pub fn record(&mut self, nanos: u64) {
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The nanoseconds that `share` of all, such as 0.99, did not exceed.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return floor(index);
            }
        }
        0
    }
}

fn bucket(nanos: u64) -> usize {
    // What is below two full cuts has a bucket of its own.
    let shift = (u64::BITS - 1 - nanos.max(1).leading_zeros()).saturating_sub(CUT_BITS);
    CUTS * shift as usize + (nanos >> shift) as usize
}

fn floor(bucket: usize) -> u64 {
    let shift = (bucket / CUTS).saturating_sub(1);
    ((bucket - CUTS * shift) as u64) << shift
}
