//! Tests of the counters: under many hands, beside a plain model, and forgetting.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp(1_767_225_600_000);
const GROUPS: [&str; 2] = ["tickets", "keys"];

fn counters() -> (Counters, Clock) {
    let clock = Clock::manual(START);
    (Counters::new(&GROUPS, clock.clone()).expect("few groups"), clock)
}

fn tallies(limits: &[(usize, u32)]) -> Vec<Tally> {
    limits.iter().map(|(slot, limit)| Tally { slot: *slot, limit: *limit, spent: 0 }).collect()
}

#[test]
fn of_many_at_once_exactly_the_limit_is_admitted() {
    let (counters, _) = counters();
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let mut asked = tallies(&[(0, 1000), (1, 777)]);
                    let outcome = counters.spend(Key::of("4fQ7x2Lm"), 1, &mut asked);
                    admitted.fetch_add(outcome.admitted.into(), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 777);
}

#[test]
fn no_window_admits_more_than_its_limit_while_time_passes() {
    let (counters, clock) = counters();
    let admitted = Mutex::new(HashMap::<u32, u32>::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20_000 {
                clock.advance_millis(11);
                std::thread::yield_now();
            }
        });
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let outcome = counters.spend(Key::of("4fQ7x2Lm"), 1, &mut tallies(&[(0, 50)]));
                    if outcome.admitted {
                        let mut admitted = admitted.lock().expect("no panic");
                        *admitted.entry(outcome.window.number).or_default() += 1;
                    }
                }
            });
        }
    });
    let admitted = admitted.into_inner().expect("no panic");
    assert!(admitted.values().all(|count| *count <= 50), "{admitted:?}");
}

proptest! {
    #[test]
    fn it_counts_as_a_plain_model_does(
        id in "[0-9A-Za-z]{8}",
        steps in prop::collection::vec((0..30_000_i64, 1..=2_usize, 1..=3_u32, any::<bool>()), 1..80),
    ) {
        let (counters, clock) = counters();
        let key = Key::of(&id);
        let mut model: HashMap<(u32, usize), u32> = HashMap::new();
        for (advance, group, amount, passes) in steps {
            clock.advance_millis(if passes { advance } else { 0 });
            let mut asked = tallies(&[(0, 5), (group, 3)]);
            let outcome = counters.spend(key, amount, &mut asked);
            let window = key.window(clock.now());
            let spent = |slot| model.get(&(window.number, slot)).copied().unwrap_or(0);
            let admits = spent(0) + amount <= 5 && spent(group) + amount <= 3;
            prop_assert_eq!((outcome.admitted, outcome.window), (admits, window));
            for slot in [0, group] {
                *model.entry((window.number, slot)).or_default() += amount * u32::from(admits);
            }
            let left: Vec<_> = asked.iter().map(|tally| tally.spent).collect();
            prop_assert_eq!(left, [model[&(window.number, 0)], model[&(window.number, group)]]);
            // And to look spends nothing.
            let mut looked = tallies(&[(0, 5), (group, 3)]);
            prop_assert_eq!(counters.peek(key, &mut looked), window);
            prop_assert_eq!(looked, asked);
        }
    }

    #[test]
    fn who_was_refused_and_waits_as_told_is_admitted(
        id in "[0-9A-Za-z]{8}",
        begin in 0..60_000_i64,
        until_refused in 0..60_000_i64,
        limit in 1..4_u32,
    ) {
        let (counters, clock) = counters();
        let key = Key::of(&id);
        clock.advance_millis(begin);
        while counters.spend(key, 1, &mut tallies(&[(0, limit)])).admitted {}
        clock.advance_millis(until_refused);
        let outcome = counters.spend(key, 1, &mut tallies(&[(0, limit)]));
        if !outcome.admitted {
            clock.advance_millis(i64::from(outcome.window.reset_secs()) * 1000);
            prop_assert!(counters.spend(key, 1, &mut tallies(&[(0, limit)])).admitted);
        }
    }
}

#[test]
fn a_clock_that_is_set_back_a_little_does_not_admit_twice() {
    let (counters, clock) = counters();
    let key = Key::of("4fQ7x2Lm");
    let begins = i64::from(key.window(clock.now()).left_ms);
    clock.advance_millis(begins);
    assert!(counters.spend(key, 1, &mut tallies(&[(0, 1)])).admitted);
    clock.advance_millis(-5);
    let refused = counters.spend(key, 1, &mut tallies(&[(0, 1)]));
    assert_eq!((refused.admitted, refused.window.reset_secs()), (false, 60));
    // By more than a window it is another time altogether.
    clock.advance_millis(-180_000);
    assert!(counters.spend(key, 1, &mut tallies(&[(0, 1)])).admitted);
}

#[test]
fn what_others_count_is_learned_and_never_unlearned() {
    let (counters, clock) = counters();
    let key = Key::of("4fQ7x2Lm");
    let window = key.window(clock.now());
    let told = |spent| [Tally { slot: 1, limit: 10, spent }];
    let known = || {
        let mut looked = told(0);
        counters.peek(key, &mut looked);
        looked[0].spent
    };
    counters.learn(key, window, &told(7));
    counters.learn(key, window, &told(4));
    assert_eq!(known(), 7);
    counters.learn(key, Window::whole(window.number - 1), &told(9));
    assert_eq!(known(), 7);
    clock.advance_millis(60_000);
    assert_eq!(known(), 0);
    // Answers of Redis also tell what time it is there.
    counters.set_now(clock.now().plus_millis(-60_000));
    assert_eq!(known(), 7);
}

#[test]
fn keys_that_rest_are_forgotten() {
    let (counters, clock) = counters();
    let ids: Vec<_> = (0..20_000).map(|number| format!("{number:08}")).collect();
    for id in &ids {
        counters.spend(Key::of(id), 1, &mut tallies(&[(0, 1)]));
    }
    assert_eq!(counters.len(), ids.len());
    // Somebody else goes on: with each of its requests one map is swept.
    let busy = Key::of("4fQ7x2Lm");
    for _ in 0..2 * SHARDS {
        clock.advance_millis(100);
        counters.spend(busy, 1, &mut tallies(&[(0, 1_000_000)]));
    }
    assert_eq!(counters.len(), 1);
    let room: usize = counters.shards.iter().map(|shard| lock(shard).capacity()).sum();
    assert!(room < SHARDS * 2 * ROOM_MIN, "{room}");
    // What is forgotten was over; what is not over is not forgotten.
    assert!(counters.spend(Key::of(&ids[0]), 1, &mut tallies(&[(0, 1)])).admitted);
}
