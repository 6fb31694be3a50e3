//! The line under a clock that the test turns.

use super::*;

fn line(up: Option<f64>) -> (Line, Clock) {
    let clock = Clock::system();
    let line = Line::new(clock.clone());
    line.set(LineLimits { up: up.map(Speed::of_megabits), down: None });
    (line, clock)
}

/// How long `bytes` take.
async fn seconds(line: &Line, bytes: usize) -> f64 {
    line.pass(Way::Up, bytes).await.as_secs_f64()
}

#[track_caller]
fn about(seconds: f64, wanted: f64) {
    assert!((seconds - wanted).abs() < 0.1 * wanted + 0.06, "{seconds} s, not {wanted} s");
}

#[tokio::test(start_paused = true)]
async fn weights_go_at_their_limit_and_without_one_at_once() {
    let (line, _) = line(Some(8.0));
    about(seconds(&line, 5_000_000).await, 5.0);
    assert_eq!(line.pass(Way::Down, 1 << 30).await, Duration::ZERO);
    line.set(LineLimits::default());
    assert_eq!(seconds(&line, 1 << 30).await, 0.0);
    assert_eq!(line.limit(Way::Up), None);
}

#[tokio::test(start_paused = true)]
async fn two_uploads_share_the_limit_evenly() {
    let (line, _) = line(Some(8.0));
    let (one, other) = tokio::join!(seconds(&line, 2_000_000), seconds(&line, 2_000_000));
    about(one, 4.0);
    about(other, 4.0);
}

#[tokio::test(start_paused = true)]
async fn a_new_limit_counts_at_once_for_who_waits() {
    let (line, clock) = line(Some(0.1));
    let slow = seconds(&line, 1_000_000);
    let change = async {
        clock.sleep(Duration::from_secs(1)).await;
        line.set(LineLimits { up: Some(Speed::of_megabits(8.0)), down: None });
    };
    let (took, ()) = tokio::join!(slow, change);
    about(took, 2.0);
    let (line, clock) = self::line(Some(0.1));
    let freed = async {
        clock.sleep(Duration::from_secs(1)).await;
        line.set(LineLimits::default());
    };
    let (took, ()) = tokio::join!(seconds(&line, 1_000_000), freed);
    about(took, 1.0);
}

#[tokio::test(start_paused = true)]
async fn weights_step_back_while_an_activation_is_on_its_way() {
    let (line, clock) = line(Some(8.0));
    let push = async {
        clock.sleep(Duration::from_secs(1)).await;
        let _on_its_way = line.activation(Way::Up);
        clock.sleep(Duration::from_secs(4)).await;
    };
    let (took, ()) = tokio::join!(seconds(&line, 3_000_000), push);
    // One second at the limit, four at a quarter, one more at the limit.
    about(took, 6.0);
    let pull = line.activation(Way::Down);
    about(seconds(&line, 1_000_000).await, 1.0);
    drop(pull);
}

#[tokio::test(start_paused = true)]
async fn an_upload_with_a_deadline_keeps_what_it_needs() {
    let (line, _) = line(Some(8.0));
    let _pushes = line.activation(Way::Up);
    let need = line.need();
    // Half of the limit is needed, and a little more is given.
    need.say(2_000_000, Some(4.0));
    about(seconds(&line, 2_000_000).await, 4.0 / SPARE);
    // More than the limit is not given to anybody.
    need.say(90_000_000, Some(4.0));
    about(seconds(&line, 2_000_000).await, 2.0);
    drop(need);
    about(seconds(&line, 500_000).await, 2.0);
}

#[tokio::test(start_paused = true)]
async fn bursts_are_short() {
    let (line, clock) = line(Some(8.0));
    // Nothing is saved up while nothing goes.
    clock.sleep(Duration::from_secs(60)).await;
    let mut sent = Vec::new();
    for _ in 0..200 {
        let piece = line.piece(Way::Up, 1 << 20).await;
        sent.push((clock.now(), piece));
    }
    for (at, _) in &sent {
        let end = *at + Duration::from_millis(250);
        let within = sent.iter().filter(|(time, _)| (*at..end).contains(time));
        let bytes: usize = within.map(|(_, piece)| piece).sum();
        // What was saved up and what came in meanwhile.
        assert!(bytes <= 100_000 + 250_000 + 65_536, "{bytes} within a quarter of a second");
    }
}
