use candor_store::{
    ConversationChange, Document, Message, MessageUpdate, NewConversation, NewFeedback, NewMessage, Role, Scope, State,
    Store, StoreError, Verdict,
};
use serde_json::json;

use crate::fresh;

async fn conversation(store: &Store) -> String {
    store.create_conversation(NewConversation::default()).await.unwrap().id
}

fn answer(content: &str, state: State) -> NewMessage {
    NewMessage {
        role: Role::Assistant,
        content: content.into(),
        state,
        model: Some("m".into()),
        model_hash: Some("abc".into()),
        sampling: Some(json!({ "temperature": 0.5 })),
        ..NewMessage::user(None, String::new())
    }
}

async fn turn(store: &Store, id: &str, parent: Option<String>, question: &str, reply: &str) -> Vec<Message> {
    let question = NewMessage::user(parent, question.into());
    store
        .add_messages(id, vec![question, answer(reply, State::Done)])
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_written_is_there_after_the_store_is_opened_again() {
    let (store, folder) = fresh().await;
    let id = conversation(&store).await;
    let change = ConversationChange {
        title: Some("  A\nname ".into()),
        ..Default::default()
    };
    store.change_conversation(&id, change).await.unwrap();
    turn(&store, &id, None, "hello", "world").await;
    store.set_setting("theme", json!("dark")).await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(folder.path().join("candor.db")).await.unwrap();
    assert_eq!(store.conversation(&id).await.unwrap().title, "A name");
    let messages = store.messages(&id).await.unwrap();
    assert_eq!(
        messages.iter().map(|one| one.content.as_str()).collect::<Vec<_>>(),
        ["hello", "world"]
    );
    assert_eq!(store.settings().await.unwrap()["theme"], json!("dark"));
    store.set_setting("theme", json!(null)).await.unwrap();
    assert!(store.settings().await.unwrap().is_empty());
    store.check().await.unwrap();
}

#[tokio::test]
async fn editing_makes_a_branch_and_both_branches_can_be_shown() {
    let (store, _folder) = fresh().await;
    let id = conversation(&store).await;
    let first = turn(&store, &id, None, "one", "1").await;
    let deeper = turn(&store, &id, Some(first[1].id.clone()), "two", "2").await;
    let edited = turn(&store, &id, None, "one, edited", "1'").await;
    let all = store.messages(&id).await.unwrap();
    assert_eq!(all.len(), 6);
    let leaf = store.conversation(&id).await.unwrap().leaf;
    assert_eq!(leaf.as_ref(), Some(&edited[1].id));
    let shown: Vec<_> = Message::branch(&all, leaf.as_deref())
        .iter()
        .map(|one| one.content.as_str())
        .collect();
    assert_eq!(shown, ["one, edited", "1'"]);
    let leaf = store.select_branch(&id, &first[0].id).await.unwrap();
    assert_eq!(leaf, deeper[1].id);
    assert_eq!(Message::branch(&all, Some(&leaf)).len(), 4);
    assert!(matches!(
        store.select_branch(&id, "nothing").await,
        Err(StoreError::Missing { .. })
    ));
}

#[tokio::test]
async fn a_message_of_another_conversation_is_not_found() {
    let (store, _folder) = fresh().await;
    let (one, other) = (conversation(&store).await, conversation(&store).await);
    let added = turn(&store, &one, None, "q", "a").await;
    assert!(matches!(
        store.message(&other, &added[0].id).await,
        Err(StoreError::Missing { .. })
    ));
    let grafted = NewMessage::user(Some(added[1].id.clone()), "x".into());
    assert!(matches!(
        store.add_messages(&other, vec![grafted]).await,
        Err(StoreError::Missing { .. })
    ));
    assert!(store.messages(&other).await.unwrap().is_empty());
    let feedback = NewFeedback {
        verdict: Verdict::Up,
        reason: String::new(),
        text: String::new(),
    };
    assert!(store.put_feedback(&other, &added[1].id, feedback).await.is_err());
}

#[tokio::test]
async fn search_finds_titles_and_texts_also_in_chinese_and_takes_wildcards_literally() {
    let (store, _folder) = fresh().await;
    let chinese = conversation(&store).await;
    turn(&store, &chinese, None, "请介绍一下量子计算的基本原理", "好的").await;
    let english = conversation(&store).await;
    turn(&store, &english, None, "The Quick brown FOX", "100% sure_thing").await;
    let title = ConversationChange {
        title: Some("Recipes".into()),
        ..Default::default()
    };
    store.change_conversation(&english, title).await.unwrap();
    let ids = async |words: &str| -> Vec<String> {
        store
            .search(words)
            .await
            .unwrap()
            .into_iter()
            .map(|hit| hit.conversation.id)
            .collect()
    };
    assert_eq!(ids("量子").await, [chinese.as_str()]);
    assert_eq!(ids("quick BROWN").await, [english.as_str()]);
    assert_eq!(ids("recip").await, [english.as_str()]);
    assert_eq!(ids("100%").await, [english.as_str()]);
    assert!(ids("1%0").await.is_empty());
    assert!(ids("sureXthing").await.is_empty());
    assert!(ids("   ").await.is_empty());
    let hit = &store.search("fox").await.unwrap()[0];
    assert_eq!(hit.snippet.as_deref(), Some("The Quick brown FOX"));
}

#[tokio::test]
async fn an_answer_left_half_written_is_stopped_at_the_next_start() {
    let (store, _folder) = fresh().await;
    let id = conversation(&store).await;
    let question = NewMessage::user(None, "q".into());
    let added = store
        .add_messages(&id, vec![question, answer("", State::Streaming)])
        .await
        .unwrap();
    let update = MessageUpdate {
        content: Some("half".into()),
        ..Default::default()
    };
    assert!(store.update_message(&added[1].id, update).await.unwrap());
    assert_eq!(store.stop_unfinished().await.unwrap(), 1);
    let message = store.message(&id, &added[1].id).await.unwrap();
    assert_eq!((message.state, message.content.as_str()), (State::Stopped, "half"));
}

#[tokio::test]
async fn feedback_holds_copies_of_what_it_judges_and_goes_with_its_conversation() {
    let (store, _folder) = fresh().await;
    let new = NewConversation {
        system_prompt: "Be brief.".into(),
        ..Default::default()
    };
    let id = store.create_conversation(new).await.unwrap().id;
    let added = turn(&store, &id, None, "q", "a").await;
    let down = NewFeedback {
        verdict: Verdict::Down,
        reason: "incorrect".into(),
        text: "no".into(),
    };
    store.put_feedback(&id, &added[1].id, down.clone()).await.unwrap();
    let stored = store
        .put_feedback(
            &id,
            &added[1].id,
            NewFeedback {
                verdict: Verdict::Up,
                ..down
            },
        )
        .await
        .unwrap();
    assert_eq!(stored.verdict, Verdict::Up);
    let all = store.feedback(None).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        all[0].prompt,
        json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "q" }])
    );
    assert_eq!(
        (all[0].answer.as_str(), all[0].model_hash.as_deref()),
        ("a", Some("abc"))
    );
    assert_eq!(all[0].sampling, Some(json!({ "temperature": 0.5 })));
    let question = NewFeedback {
        verdict: Verdict::Up,
        reason: String::new(),
        text: String::new(),
    };
    assert!(store.put_feedback(&id, &added[0].id, question).await.is_err());
    assert!(store.delete_conversation(&id).await.unwrap());
    assert!(store.feedback(None).await.unwrap().is_empty());
    assert!(store.messages(&id).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_exported_conversation_comes_back_the_same_with_new_ids() {
    let (store, _folder) = fresh().await;
    let new = NewConversation {
        title: "T".into(),
        system_prompt: "S".into(),
        phrase: true,
        ..Default::default()
    };
    let id = store.create_conversation(new).await.unwrap().id;
    let first = turn(&store, &id, None, "q", "a").await;
    turn(&store, &id, Some(first[1].id.clone()), "q2", "a2").await;
    let last = turn(&store, &id, None, "other", "branch").await;
    let candor = json!({ "outcome": "answered", "receipt": "rcpt-1", "sentences": [
        { "text": "branch", "citations": [{ "quote": "branch", "filename": "![a](b) notes.txt", "page": 2 }] }] });
    let update = MessageUpdate {
        candor: Some(candor.clone()),
        ..Default::default()
    };
    store.update_message(&last[1].id, update).await.unwrap();
    let change = ConversationChange {
        sources: Some(Scope::All),
        ..Default::default()
    };
    store.change_conversation(&id, change).await.unwrap();
    let text = serde_json::to_vec(&store.export(&id).await.unwrap()).unwrap();
    let copy = store.import(Document::parse(&text).unwrap()).await.unwrap();
    assert_ne!(copy.id, id);
    assert_eq!((copy.title.as_str(), copy.system_prompt.as_str()), ("T", "S"));
    let (from, to) = (
        store.messages(&id).await.unwrap(),
        store.messages(&copy.id).await.unwrap(),
    );
    let texts = |all: &[Message]| all.iter().map(|one| one.content.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&from), texts(&to));
    assert_eq!((copy.sources, &to[5].candor), (Scope::All, &Some(candor)));
    // The copy has the original's receipt, so it is not the original's alone; without the copy it is.
    assert!(store.own_receipts(&id).await.unwrap().is_empty());
    assert_eq!(
        store.export_markdown(&copy.id).await.unwrap(),
        "# T\n\n> S\n\n## You\n\nother\n\n## m\n\nbranch\n\n- Source: a (b) notes.txt, page 2\n"
    );
    store.delete_conversation(&copy.id).await.unwrap();
    assert_eq!(store.own_receipts(&id).await.unwrap(), ["rcpt-1"]);
}

#[tokio::test]
async fn a_document_that_does_not_fit_stores_nothing() {
    let (store, _folder) = fresh().await;
    let bad = [
        json!({ "format": "other", "messages": [] }),
        json!({ "format": candor_store::FORMAT, "messages": [{ "id": "a", "parent": "b", "role": "user", "content": "" }] }),
        json!({ "format": candor_store::FORMAT, "messages": [
            { "id": "a", "role": "user", "content": "" }, { "id": "a", "role": "user", "content": "" }] }),
    ];
    for document in bad {
        let document = Document::parse(document.to_string().as_bytes()).unwrap();
        assert!(matches!(store.import(document).await, Err(StoreError::Invalid(_))));
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [
        "",
        "[]",
        "{\"format\":",
        &deep,
        "{\"format\":\"x\",\"messages\":[{\"role\":\"root\"}]}",
    ] {
        assert!(
            matches!(Document::parse(text.as_bytes()), Err(StoreError::Invalid(_))),
            "{text:.40}"
        );
    }
    assert!(store.conversations(false, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_a_sentence() {
    let (store, _folder) = fresh().await;
    let id = conversation(&store).await;
    let huge = NewMessage::user(None, "x".repeat(17 * 1024 * 1024));
    let error = store.add_messages(&id, vec![huge]).await.unwrap_err().to_string();
    assert!(error.contains("shorten it"), "{error}");
    assert!(store.set_setting(&"k".repeat(101), json!(1)).await.is_err());
}
