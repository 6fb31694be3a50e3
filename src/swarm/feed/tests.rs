//! Samples, splits, baselines, and one test per way a corpus can be wrong.

use std::path::Path;

use super::*;
use crate::swarm::stories::Stories;

const SAMPLE: usize = 256;

fn shipped() -> Arc<Tokenizer> {
    Arc::new(Tokenizer::shipped().unwrap())
}

fn stories(seed: u64) -> Feed {
    Feed::new(Source::Stories { seed }, shipped(), SAMPLE).unwrap()
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

/// Numbered lines: every line occurs once, so that text can be told apart.
fn numbered(lines: std::ops::Range<usize>) -> String {
    lines.map(|n| format!("This is line number {n} of the notes.\n")).collect()
}

fn corpus_feed(path: &Path) -> Feed {
    Feed::new(Source::Corpus(Corpus::open(path).unwrap()), shipped(), SAMPLE).unwrap()
}

/// Trains the shipped tokenizer again, on stories that no feed tells. After a change to the
/// stories, `HEARTH_WRITE_TOKENIZER=1` with this test's name writes the new file.
#[test]
fn retraining_the_tokenizer_gives_the_shipped_file() {
    let mut stream = Stories::new(20_000).stream("tokenizer");
    let texts: Vec<String> = (0..4000).map(|_| stream.next_text()).collect();
    let again = Tokenizer::train_bpe(texts, 4096).unwrap().to_json().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tokenizer.json");
    if std::env::var_os("HEARTH_WRITE_TOKENIZER").is_some() {
        std::fs::write(path, format!("{again}\n")).unwrap();
    }
    let shipped = std::fs::read_to_string(path).unwrap();
    assert!(shipped.trim_end() == again, "assets/tokenizer.json is not what training gives");
}

#[test]
fn samples_are_long_enough_and_repeat_by_seed() {
    let (one, two, other) = (stories(1), stories(1), stories(2));
    for _ in 0..20 {
        let sample = one.next_sample().unwrap();
        assert!(one.tokenizer().encode(&sample).unwrap().len() >= SAMPLE);
        assert_eq!(sample, two.next_sample().unwrap());
        assert_ne!(sample, other.next_sample().unwrap());
    }
}

#[test]
fn held_out_samples_do_not_disturb_training_and_are_other_text() {
    let (one, two) = (stories(3), stories(3));
    let held_out = two.held_out_sample().unwrap();
    let sample = one.next_sample().unwrap();
    assert_eq!(sample, two.next_sample().unwrap());
    assert_ne!(sample, held_out);
}

#[test]
fn threads_share_the_samples_without_doubles() {
    let feed = stories(4);
    let drawn: Vec<String> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (0..5).map(|_| feed.next_sample().unwrap()).collect::<Vec<_>>())
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    });
    let mut drawn = drawn;
    drawn.sort();
    let alone = stories(4);
    let mut expected: Vec<String> = (0..20).map(|_| alone.next_sample().unwrap()).collect();
    expected.sort();
    assert_eq!(drawn, expected);
}

#[test]
fn story_baselines_are_where_language_models_can_beat_them() {
    let feed = stories(1);
    let start = std::time::Instant::now();
    let base = Baselines::fit(&feed, Baselines::FITTED, Baselines::HELD_OUT).unwrap();
    println!("{base:?} in {:?}", start.elapsed());
    assert_eq!(base.fitted_tokens, Baselines::FITTED);
    assert!((5.0..5.75).contains(&base.unigram), "{base:?}");
    assert!((2.75..3.3).contains(&base.bigram), "{base:?}");
}

/// The choices behind a story, spread over its tokens, leave room far below the bigram.
#[test]
fn a_perfect_reader_needs_far_less_than_the_bigram() {
    let tokenizer = shipped();
    let (mut nats, mut tokens) = (0.0, 0);
    for story in Stories::new(1).stream("training").take(2000) {
        nats += story.nats;
        tokens += tokenizer.encode(&story.text).unwrap().len();
    }
    let cost = nats / tokens as f64;
    println!("{cost} nats a token, {} tokens a story", tokens / 2000);
    assert!(cost < 2.0, "{cost} nats per token");
}

#[test]
fn baselines_of_a_known_text_are_what_arithmetic_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "ab.txt", " the and".repeat(40_000));
    let feed = corpus_feed(&path);
    let base = Baselines::fit(&feed, 1_000_000, 1000).unwrap();
    assert!((base.unigram - 2.0_f64.ln()).abs() < 0.1, "{base:?}");
    assert!(base.bigram < 0.1, "{base:?}");
    assert!((70_000..80_000).contains(&base.fitted_tokens), "{base:?}");
}

#[test]
fn a_corpus_wraps_around_and_never_trains_on_what_it_holds_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "notes.txt", numbered(0..2000));
    let feed = corpus_feed(&path);
    let first = feed.next_sample().unwrap();
    let mut trained = first.clone();
    let mut wrapped = false;
    for _ in 0..300 {
        let sample = feed.next_sample().unwrap();
        wrapped |= sample.contains("line number 0 of");
        trained.push_str(&sample);
    }
    assert!(wrapped);
    let mut seen = 0;
    for _ in 0..3 {
        let held_out = feed.held_out_sample().unwrap();
        for line in
            held_out.lines().filter(|line| line.starts_with("This") && line.ends_with("notes."))
        {
            assert!(!trained.contains(line), "{line}");
            seen += 1;
        }
    }
    assert!(seen > 10);
    assert_eq!(corpus_feed(&path).next_sample().unwrap(), first);
}

#[test]
fn every_byte_of_a_corpus_is_in_one_of_the_two_streams() {
    let folder = tempfile::tempdir().unwrap();
    let text = numbered(0..500).replace("line", "línea—");
    let path = write(folder.path(), "notes.txt", &text);
    let source = Source::Corpus(Corpus::open(&path).unwrap());
    let mut bytes = 0;
    for split in [Split::Training, Split::HeldOut] {
        let mut reader = source.reader(split);
        while let Some(piece) = reader.next_piece().unwrap() {
            bytes += piece.len();
        }
    }
    // The last line end becomes the blank line between two files.
    assert_eq!(bytes, text.len() + 1);
}

#[test]
fn a_folder_is_read_in_order_and_says_what_it_skips() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "b/two.md", numbered(1000..2000));
    write(folder.path(), "a.txt", numbered(0..1000));
    write(folder.path(), "picture.png", [137, 80, 78, 71, 0, 1, 2]);
    write(folder.path(), "latin1.txt", b"caf\xe9 au lait");
    write(folder.path(), "empty.txt", "");
    write(folder.path(), ".git/config", numbered(0..10));
    let corpus = Corpus::open(folder.path()).unwrap();
    assert_eq!(corpus.files().len(), 2);
    assert!(corpus.files()[0].ends_with("a.txt"));
    let skipped: Vec<String> = corpus
        .skipped()
        .iter()
        .map(|one| format!("{}: {}", one.path.file_name().unwrap().display(), one.reason))
        .collect();
    assert_eq!(
        skipped,
        [
            "empty.txt: it is empty",
            "latin1.txt: it is not UTF-8 text (an invalid byte at 3)",
            "picture.png: it is not UTF-8 text (a zero byte at 4)",
        ]
    );
    let feed = Feed::new(Source::Corpus(corpus), shipped(), SAMPLE).unwrap();
    assert!(feed.next_sample().unwrap().starts_with("This is line number 0 of"));
}

#[test]
fn characters_survive_every_cut() {
    let folder = tempfile::tempdir().unwrap();
    let text = "漢字かな交じり文".repeat(20_000);
    let path = write(folder.path(), "kanji.txt", &text);
    let feed = corpus_feed(&path);
    for _ in 0..50 {
        assert!(
            feed.next_sample()
                .unwrap()
                .chars()
                .all(|c| text.starts_with(c) || "字かな交じり文\n".contains(c))
        );
    }
}

#[test]
fn a_missing_corpus_is_an_error() {
    let error = Corpus::open(Path::new("no/such/corpus.txt")).unwrap_err();
    assert!(matches!(error, FeedError::Missing(_)), "{error}");
    assert!(error.to_string().contains("no/such/corpus.txt"));
}

#[test]
fn an_empty_corpus_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let blank = write(folder.path(), "blank.txt", " \n\n");
    assert!(matches!(Corpus::open(&blank), Err(FeedError::Empty(_))));
    let nothing = tempfile::tempdir().unwrap();
    assert!(matches!(Corpus::open(nothing.path()), Err(FeedError::Empty(_))));
}

#[test]
fn a_short_corpus_says_how_many_tokens_it_has_and_needs() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "short.txt", "A few words only.\n");
    let source = Source::Corpus(Corpus::open(&path).unwrap());
    let error = Feed::new(source, shipped(), SAMPLE).unwrap_err();
    let FeedError::TooShort { tokens, needed, .. } = &error else { panic!("{error}") };
    assert!((1..20).contains(tokens) && *needed == SAMPLE, "{error}");
    assert!(error.to_string().contains("one sample needs 256"));
}

#[test]
fn a_binary_corpus_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let zero = write(folder.path(), "program", [127, b'E', b'L', b'F', 0]);
    assert!(matches!(Corpus::open(&zero), Err(FeedError::Binary { .. })));
    let mut late = numbered(0..5000).into_bytes();
    late.push(0xff);
    let late = write(folder.path(), "late", late);
    assert!(matches!(Corpus::open(&late), Err(FeedError::Binary { .. })));
}

#[test]
fn a_corpus_that_vanishes_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "notes.txt", numbered(0..2000));
    let feed = corpus_feed(&path);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(feed.next_sample(), Err(FeedError::Missing(_))));
}

#[cfg(unix)]
#[test]
fn an_unreadable_corpus_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    // A file used as a folder cannot be opened by anybody, whatever their rights.
    let file = write(folder.path(), "file", "text");
    let error = Corpus::open(&file.join("inside")).unwrap_err();
    assert!(matches!(error, FeedError::Unreadable { .. }), "{error}");
}

#[test]
fn a_tokenizer_is_chosen_by_word_or_path() {
    assert_eq!("train".parse(), Ok(TokenizerChoice::Train));
    assert_eq!("./train".parse(), Ok(TokenizerChoice::File(PathBuf::from("./train"))));
    assert_eq!(TokenizerChoice::default(), TokenizerChoice::Shipped);
}

#[test]
fn a_tokenizer_trained_on_a_corpus_spells_it_shorter() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "notes.txt", "zyxwv qponml kjihg ".repeat(500));
    let source = Source::Corpus(Corpus::open(&path).unwrap());
    let trained = TokenizerChoice::Train.load(&source, 512).unwrap();
    assert!(trained.vocab_size() <= 512);
    let text = "zyxwv qponml kjihg";
    let shorter = trained.encode(text).unwrap().len();
    assert!(shorter < shipped().encode(text).unwrap().len());
    assert_eq!(trained.decode(&trained.encode(text).unwrap()).unwrap(), text);
}

#[test]
fn a_tokenizer_larger_than_the_model_is_refused() {
    let error = TokenizerChoice::Shipped.load(&Source::Stories { seed: 1 }, 512).unwrap_err();
    assert!(error.to_string().contains("4096 entries"), "{error}");
    let file = TokenizerChoice::File(PathBuf::from("nowhere.json"));
    let error = file.load(&Source::Stories { seed: 1 }, 4096).unwrap_err();
    assert!(matches!(error, FeedError::Tokenizer(TokenizerError::Missing(_))), "{error}");
}
