//! Tickets through all their states, on paper.

use super::*;
use crate::protocol::NodeId;

fn hotkey(number: u8) -> Hotkey {
    Hotkey::from_public_key(&[number; 32])
}

fn request() -> RegisterMinerRequest {
    RegisterMinerRequest::new(NodeId::from_bytes(&[1; 32]))
}

fn rules() -> QueueRules {
    QueueRules {
        confirm_within: at(10),
        at_a_time: 1,
        processing: at(4),
        waiting: 3,
        ..QueueRules::default()
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn join(queue: &mut Queue, number: u8) -> Result<String, ServerError> {
    let id = format!("t{number}");
    queue.join(&hotkey(number), &request(), id, &rules(), at(0)).map(|ticket| ticket.id.clone())
}

fn look(queue: &Queue, number: u8) -> MinerRegistrationQueueStatusResponse {
    let ticket = queue.find(&format!("t{number}"), &hotkey(number)).unwrap();
    queue.describe(ticket, &rules(), &"run".into())
}

#[test]
fn one_after_the_other_is_asked_to_confirm_and_gets_a_seat() {
    let mut queue = Queue::default();
    for number in 1..=3 {
        join(&mut queue, number).unwrap();
    }
    assert!(queue.advance(&rules(), 0, at(0)).is_empty(), "no seat, no hurry");
    assert_eq!([1, 2, 3].map(|n| look(&queue, n).position), [Some(0), Some(1), Some(2)]);
    queue.advance(&rules(), 5, at(1));
    let asked = look(&queue, 1);
    assert!(asked.confirmation_required && asked.position.is_none());
    assert_eq!(asked.selected_run_id, Some("run".into()));
    assert_eq!(asked.reserved_until.as_deref(), Some("1970-01-01T00:00:11.000000+00:00"));
    assert_eq!(look(&queue, 2).position, Some(0));
    assert!(!look(&queue, 2).confirmation_required, "one at a time");
    let confirmed = queue.confirm("t1", &hotkey(1), at(2)).unwrap();
    assert_eq!(confirmed.status, QueueStatus::Confirmed);
    assert!(queue.advance(&rules(), 4, at(4)).is_empty());
    assert_eq!(look(&queue, 1).status, QueueStatus::Processing);
    assert_eq!(look(&queue, 2).status, QueueStatus::Queued, "the first is not done");
    let due = queue.advance(&rules(), 4, at(6));
    assert_eq!(due.len(), 1);
    queue.seated(due[0].place, &Ok(()), at(6));
    assert_eq!(look(&queue, 1).status, QueueStatus::Succeeded);
    queue.advance(&rules(), 3, at(6));
    assert_eq!(look(&queue, 2).status, QueueStatus::Confirming);
}

#[test]
fn who_does_not_confirm_in_time_loses_the_place_to_the_next() {
    let mut queue = Queue::default();
    join(&mut queue, 1).unwrap();
    join(&mut queue, 2).unwrap();
    queue.advance(&rules(), 1, at(0));
    queue.advance(&rules(), 0, at(10));
    assert_eq!(look(&queue, 1).status, QueueStatus::Confirming, "the last moment counts");
    queue.advance(&rules(), 1, at(11));
    let lost = look(&queue, 1);
    assert_eq!(lost.status, QueueStatus::Expired);
    assert!(lost.detail.unwrap().contains("register again"));
    assert_eq!(look(&queue, 2).status, QueueStatus::Confirming);
    let late = queue.confirm("t1", &hotkey(1), at(12)).unwrap();
    assert_eq!(late.status, QueueStatus::Expired);
    // A new registration of the same hotkey stands at the end of the queue.
    let again = queue.join(&hotkey(1), &request(), "t9".into(), &rules(), at(12)).unwrap();
    assert_eq!((again.id.as_str(), &again.status), ("t9", &QueueStatus::Queued));
}

#[test]
fn a_hotkey_has_one_ticket_and_strangers_see_none() {
    let mut queue = Queue::default();
    let first = join(&mut queue, 1).unwrap();
    let again = queue.join(&hotkey(1), &request(), "other".into(), &rules(), at(1)).unwrap();
    assert_eq!((again.id.as_str(), again.mismatch), (first.as_str(), false));
    let changed = RegisterMinerRequest { coldkey: Some("x".into()), ..request() };
    queue.join(&hotkey(1), &changed, "other".into(), &rules(), at(1)).unwrap();
    let told = look(&queue, 1);
    assert!(told.payload_mismatch);
    assert_eq!(queue.len(), 1);
    for error in [
        queue.find(&first, &hotkey(2)).unwrap_err(),
        queue.find("nothing", &hotkey(1)).unwrap_err(),
        queue.confirm(&first, &hotkey(2), at(1)).unwrap_err(),
    ] {
        assert_eq!(error.name(), "QueueTicketNotFoundError");
    }
}

#[test]
fn a_full_queue_says_that_the_run_is_full() {
    let mut queue = Queue::default();
    (1..=3).for_each(|number| drop(join(&mut queue, number).unwrap()));
    assert!(matches!(join(&mut queue, 4), Err(ServerError::RunFull { .. })));
    join(&mut queue, 2).unwrap();
}

#[test]
fn a_seat_that_cannot_be_taken_after_all_fails_with_the_error() {
    let mut queue = Queue::default();
    join(&mut queue, 1).unwrap();
    queue.advance(&rules(), 1, at(0));
    queue.confirm("t1", &hotkey(1), at(0)).unwrap();
    let due = queue.advance(&rules(), 0, at(9));
    let full = Err(ServerError::RunFull { message: "no seat".into() });
    queue.seated(due[0].place, &full, at(9));
    let told = look(&queue, 1);
    assert_eq!(told.status, QueueStatus::Failed);
    assert_eq!(told.error.unwrap()["error_name"], "RunFullError");
}

#[test]
fn a_restored_queue_goes_on_with_fresh_windows() {
    let mut queue = Queue::default();
    (1..=3).for_each(|number| drop(join(&mut queue, number).unwrap()));
    let both = QueueRules { at_a_time: 2, ..rules() };
    queue.advance(&both, 2, at(0));
    queue.confirm("t1", &hotkey(1), at(0)).unwrap();
    let mut rows: BTreeMap<String, Ticket> = BTreeMap::new();
    for entry in queue.take_entries() {
        if let Entry::Ticket(ticket) = entry {
            rows.insert(ticket.id.clone(), *ticket);
        }
    }
    let mut restored = Queue::restored(rows.into_values().collect(), &both, at(1000));
    assert_eq!(look(&restored, 1).status, QueueStatus::Confirmed);
    assert_eq!(look(&restored, 3).position, Some(0));
    let due = restored.advance(&both, 0, at(1005));
    assert_eq!(due.len(), 1);
    restored.seated(due[0].place, &Ok(()), at(1005));
    assert_eq!(look(&restored, 2).status, QueueStatus::Confirming, "it had no chance to answer");
    restored.advance(&both, 1, at(1011));
    assert_eq!(look(&restored, 2).status, QueueStatus::Expired);
    assert_eq!(look(&restored, 3).status, QueueStatus::Confirming);
}

#[test]
fn ended_tickets_are_forgotten_in_the_end() {
    let mut queue = Queue::default();
    join(&mut queue, 1).unwrap();
    queue.advance(&rules(), 1, at(0));
    queue.advance(&rules(), 0, at(11));
    queue.take_entries();
    queue.advance(&rules(), 0, at(11) + rules().remembered + at(1));
    assert_eq!(queue.take_entries(), [Entry::TicketGone { id: "t1".into() }]);
    assert!(queue.find("t1", &hotkey(1)).is_err());
}

#[test]
fn dates_are_written_as_python_does() {
    let of = |seconds, micros: u32| iso8601(Duration::new(seconds, micros * 1000));
    assert_eq!(of(0, 0), "1970-01-01T00:00:00.000000+00:00");
    assert_eq!(of(951_782_399, 5), "2000-02-28T23:59:59.000005+00:00");
    assert_eq!(of(951_782_400, 0), "2000-02-29T00:00:00.000000+00:00");
    assert_eq!(of(1_784_300_000, 123_000), "2026-07-17T14:53:20.123000+00:00");
    assert_eq!(of(1_798_761_599, 0), "2026-12-31T23:59:59.000000+00:00");
}
