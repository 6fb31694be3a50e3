//! What survives a restart, and what must not be mistaken for it.

use super::*;

#[tokio::test]
async fn a_restarted_swarm_keeps_scores_weights_and_epoch_and_wants_its_miners_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let first = orchestrator(folder.path(), plan(1, 1, 1), Events::new()).await;
    let mut signer = Signer::new(&first);
    signer.register().await;
    let merged = signer.get("/common/get_merged_partitions", "").await;
    assert_eq!(merged.as_array().unwrap().len(), 2);
    let desk = Arc::clone(first.desk());
    desk.with(|run, now| run.advance(now)).await.unwrap();
    drop(desk);
    first.shutdown(&clock).await;

    let second = orchestrator(folder.path(), plan(1, 1, 1), Events::new()).await;
    signer.base = format!("http://{}", second.address());
    let gone = signer.get("/miner/layer_state", "").await;
    assert_eq!(gone["error_name"], "EntityNotRegisteredError");
    signer.register().await;
    let merged = signer.get("/common/get_merged_partitions", "").await;
    assert_eq!(signer.fetch(&merged[1]["blob_path"]).await, b"w");
}

#[tokio::test]
async fn books_of_another_swarm_or_of_a_newer_program_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::File(folder.path().join("books.sqlite"));
    let mut books = Books::open(&shelf).await.unwrap();
    books.begin(&plan(2, 1, 1), "model", 0.0).await.unwrap();
    let other = books.begin(&plan(3, 1, 1), "model", 0.0).await.unwrap_err();
    assert!(matches!(other, BooksError::OtherRun { .. }), "{other}");
    assert!(books.begin(&plan(2, 1, 1), "larger", 0.0).await.is_err());
    books.begin(&plan(2, 1, 1), "model", 0.0).await.unwrap();
    books.count("UPDATE schema_version SET version = 99 RETURNING version").await.unwrap();
    drop(books);
    let newer = Books::open(&shelf).await.unwrap_err();
    assert!(matches!(newer, BooksError::Version { found: 99, .. }), "{newer}");
}

#[tokio::test]
async fn garbage_in_the_books_place_is_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("books.sqlite");
    std::fs::write(&file, b"this is no database, but it is long enough to be looked at").unwrap();
    let error = Books::open(&Shelf::File(file)).await.unwrap_err();
    assert!(matches!(error, BooksError::File { .. }));
    assert!(error.to_string().contains("books.sqlite"));
}

#[tokio::test]
async fn books_in_memory_work_alike() {
    let mut books = Books::open(&Shelf::Memory).await.unwrap();
    let restored = books.begin(&plan(1, 1, 1), "model", 0.0).await.unwrap();
    let mut run = Run::new(plan(1, 1, 1), restored, Moment::default());
    run.publish_first(StageIndex(0), ChunkNumber(0), "o".into());
    books.write(&run.take_outcome().entries).await.unwrap();
    let restored = books.begin(&plan(1, 1, 1), "model", 0.0).await.unwrap();
    assert_eq!((restored.epoch, restored.merged.len()), (1, 1));
}
