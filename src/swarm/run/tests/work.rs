//! Who gets work, and what a report must be.

use super::*;

#[test]
fn miners_go_where_fewest_are_and_come_back_to_their_stage() {
    let mut run = Run::new(plan(3, 2, 1), Restored::default(), Moment::default());
    let stages: Vec<usize> =
        (1..=6).map(|n| run.register(&hotkey(n), &node(), Moment::default()).unwrap().0).collect();
    assert_eq!(stages, [0, 1, 2, 0, 1, 2]);
    assert_eq!(run.register(&hotkey(5), &node(), Moment::default()).unwrap().0, 1);
    run.drop_miner(&hotkey(2), Moment::default());
    assert_eq!(run.register(&hotkey(7), &node(), Moment::default()).unwrap().0, 1);
    run.plan.rules.limits.miners = 6;
    let refused = run.register(&hotkey(8), &node(), Moment::default());
    assert!(matches!(refused, Err(ServerError::RunFull { .. })));
}

#[test]
fn nothing_is_handed_out_before_every_stage_has_a_miner_or_beyond_the_goal() {
    let mut run = Run::new(plan(2, 1, 3), Restored::default(), Moment::default());
    run.register(&hotkey(1), &node(), Moment::default()).unwrap();
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 0);
    run.register(&hotkey(2), &node(), Moment::default()).unwrap();
    assert_eq!(run.allowance(&hotkey(2), 5).unwrap(), 0, "only the first stage");
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 3);
    run.hand_out(&hotkey(1), "s".into(), Moment::default());
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 2);
    assert!(run.allowance(&hotkey(9), 5).is_err());
}

#[test]
fn the_first_work_waits_for_the_planned_miners_but_not_for_ever() {
    let mut run = Run::new(plan(1, 2, 3), Restored::default(), Moment::default());
    run.register(&hotkey(1), &node(), Moment::default()).unwrap();
    let late = Moment(run.plan.rules.limits.muster + Duration::from_secs(1));
    run.seen(&hotkey(1), late);
    run.advance(Moment::default());
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 0);
    run.advance(late);
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 5);
}

#[test]
fn a_broken_hash_chain_is_refused_and_told() {
    let (mut run, id) = pair();
    let first = report(&id, 0, 2, Direction::Forward);
    submit(&mut run, 1, &first).unwrap();
    submit(&mut run, 1, &first).unwrap();
    let mut lie = report(&id, 1, 2, Direction::Forward);
    lie.input_activation_hash = Some(hash(&id, 9, Direction::Forward));
    assert_eq!(submit(&mut run, 2, &lie), Err("ActivationHashError".into()));
    lie.input_activation_hash = None;
    assert_eq!(submit(&mut run, 2, &lie), Err("ActivationHashError".into()));
    lie.input_activation_hash = Some("soon".into());
    assert_eq!(submit(&mut run, 2, &lie), Err("ActivationHashError".into()));
    let events = run.take_outcome().events;
    let evidence = events.iter().filter(|e| matches!(e, Event::Evidence { .. })).count();
    assert_eq!(evidence, 3);
    submit(&mut run, 2, &report(&id, 1, 2, Direction::Forward)).unwrap();
}

#[test]
fn the_chain_is_checked_even_if_the_later_stage_reports_first() {
    let (mut run, id) = pair();
    submit(&mut run, 2, &report(&id, 1, 2, Direction::Forward)).unwrap();
    let mut other = report(&id, 0, 2, Direction::Forward);
    other.output_activation_hash = Some(hash(&id, 7, Direction::Forward));
    assert_eq!(submit(&mut run, 1, &other), Err("ActivationHashError".into()));
}

#[test]
fn strangers_and_unknown_activations_get_nowhere() {
    let (mut run, id) = pair();
    assert_eq!(run.register(&hotkey(3), &node(), Moment::default()).unwrap().0, 0);
    let foreign = submit(&mut run, 3, &report(&id, 0, 2, Direction::Forward));
    assert_eq!(foreign, Err("NotYourActivationError".into()));
    let unknown = report(&"nope".into(), 0, 2, Direction::Forward);
    assert_eq!(submit(&mut run, 1, &unknown), Err("UnknownActivationError".into()));
    let nobody = submit(&mut run, 9, &report(&id, 0, 2, Direction::Forward));
    assert_eq!(nobody, Err("EntityNotRegisteredError".into()));
}

#[test]
fn losses_are_positive_numbers_of_the_last_stage_and_count_once() {
    let (mut run, id) = pair();
    let report = |loss| LossReportRequest { activation_id: id.clone(), loss, layer_idx: None };
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(run.report_loss(&hotkey(2), &report(bad), Moment::default()).is_err());
    }
    assert!(run.report_loss(&hotkey(1), &report(3.0), Moment::default()).is_err());
    run.report_loss(&hotkey(2), &report(3.0), Moment::default()).unwrap();
    run.report_loss(&hotkey(2), &report(4.0), Moment::default()).unwrap();
    assert_eq!(run.tokens(), 10);
}

#[test]
fn a_lost_miners_work_is_handed_out_again() {
    let (mut run, id) = pair();
    submit(&mut run, 1, &report(&id, 0, 2, Direction::Forward)).unwrap();
    submit(&mut run, 2, &report(&id, 1, 2, Direction::Forward)).unwrap();
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 0);
    run.register(&hotkey(2), &node(), Moment::default()).unwrap();
    assert_eq!(run.allowance(&hotkey(1), 5).unwrap(), 1, "it forgot what it had");
    let late = submit(&mut run, 2, &report(&id, 1, 2, Direction::Backward));
    assert_eq!(late, Err("UnknownActivationError".into()));
}
