//! The bridge over real HTTP, with the bodies of the recorded registry conversation.

use std::net::SocketAddr;

use super::*;

const VECTORS: &str = include_str!("../../../tests/vectors/bridge_registry.json");

async fn serve(bridge: &Bridge) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app: Router = Router::new().nest("/bridge", bridge.router());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn call(at: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    send(at, path, body.to_string().into_bytes()).await
}

async fn send(at: SocketAddr, path: &str, body: Vec<u8>) -> (u16, Value) {
    let client = crate::swarm::store::client().unwrap();
    let url = format!("http://{at}/bridge/{path}");
    let answer = client.post(url).body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

async fn listed(at: SocketAddr, prefix: &str) -> Vec<String> {
    let client = crate::swarm::store::client().unwrap();
    let url = format!("http://{at}/bridge/vars?prefix={prefix}");
    let text = client.get(url).send().await.unwrap().text().await.unwrap();
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    list.iter().map(|entry| entry["var_id"].as_str().unwrap().to_owned()).collect()
}

fn one(var_id: &str, write_rule: &str) -> Value {
    json!({"variables": [{
        "var_id": var_id, "default_value": 0, "var_type": "int", "write_rule": write_rule,
    }]})
}

#[tokio::test]
async fn the_registry_conversation_of_the_vectors_works() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let at = serve(&Bridge::new(Clock::system())).await;
    let (status, created) = call(at, "register", &vectors["register_body"]).await;
    assert_eq!(status, 200);
    let results = created["results"].as_array().unwrap();
    assert_eq!(results.len(), 16);
    assert!(results.iter().all(|r| r["status"] == "created" && r["version"] == 1));
    let (_, again) = call(at, "register", &vectors["register_body"]).await;
    assert_eq!(again["results"][0]["status"], "already_registered");

    let prefix = format!("{}/node_registry/", vectors["run_prefix"].as_str().unwrap());
    assert_eq!(listed(at, &prefix).await.len(), 16);
    assert!(listed(at, "other").await.is_empty());

    let (_, got) = call(at, "get", &vectors["get_body_example"]).await;
    assert_eq!(got["variables"][1]["value"], json!(["all"]));
    assert_eq!(got["errors"], json!([]));

    let keepalive = &vectors["keepalive_set_body"];
    let (_, set) = call(at, "set", keepalive).await;
    assert_eq!(set["results"][0]["version"], 2);
    // The version has moved on: the same write again is refused.
    let (_, stale) = call(at, "set", keepalive).await;
    assert!(stale["results"][0]["error"].as_str().unwrap().contains("CASVersionMismatch"));
}

#[tokio::test]
async fn writes_follow_the_rule_of_each_variable() {
    let at = serve(&Bridge::new(Clock::system())).await;
    for (name, rule) in [("cas", "CAS"), ("lww", "LWW"), ("lock", "LOCK")] {
        call(at, "register", &one(name, rule)).await;
    }
    let update = |var_id: &str, extra: Value| {
        let mut update = json!({"var_id": var_id, "value": 5});
        update.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"updates": [update]})
    };
    let status = |answer: Value| answer["results"][0]["status"].as_str().unwrap().to_owned();
    assert_eq!(status(call(at, "set", &update("lww", json!({}))).await.1), "ok");
    assert_eq!(status(call(at, "set", &update("cas", json!({}))).await.1), "error");
    let versioned = update("cas", json!({"current_version": 1}));
    assert_eq!(status(call(at, "set", &versioned).await.1), "ok");
    let (_, missing) = call(at, "set", &update("nothing", json!({}))).await;
    assert!(missing["results"][0]["error"].as_str().unwrap().contains("VariableNotFound"));

    assert_eq!(status(call(at, "set", &update("lock", json!({}))).await.1), "error");
    let want = json!({"var_ids": ["lock", "lww"], "ttl_ms": 60_000, "wait_ms": 0});
    let (_, locks) = call(at, "lock", &want).await;
    let token = locks["locks"][0]["lock_token"].as_str().unwrap().to_owned();
    assert_eq!(locks["locks"][1]["status"], "error");
    assert_eq!(call(at, "lock", &want).await.1["locks"][0]["status"], "timeout");
    let held = update("lock", json!({"lock_token": token}));
    assert_eq!(status(call(at, "set", &held).await.1), "ok");
    call(at, "unlock", &json!({"locks": [{"var_id": "lock", "lock_token": token}]})).await;
    assert_eq!(status(call(at, "set", &held).await.1), "error");
    assert_eq!(call(at, "lock", &want).await.1["locks"][0]["status"], "locked");
}

#[tokio::test]
async fn garbage_and_giants_are_refused_and_the_bridge_lives_on() {
    let at = serve(&Bridge::new(Clock::system())).await;
    for path in ["register", "get", "set", "lock", "unlock"] {
        for body in [&b"{"[..], b"", b"[]", b"\xff\xfe", b"{\"var_ids\": 3}", b"null"] {
            assert_eq!(send(at, path, body.to_vec()).await.0, 422, "{path} {body:?}");
        }
    }
    let big = "x".repeat(LARGEST_VALUE);
    call(at, "register", &one("v", "LWW")).await;
    let (_, refused) = call(at, "set", &json!({"updates": [{"var_id": "v", "value": big}]})).await;
    assert!(refused["results"][0]["error"].as_str().unwrap().contains("ValueTooLarge"));
    let (_, refused) = call(at, "register", &one(&"n".repeat(LONGEST_NAME + 1), "LWW")).await;
    assert_eq!(refused["results"][0]["status"], "error");
    let many: Vec<String> = (0..=MOST_PER_CALL).map(|n| n.to_string()).collect();
    assert_eq!(call(at, "get", &json!({ "var_ids": many })).await.0, 400);
    assert_eq!(listed(at, "").await, ["v"]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_nobody_keeps_alive_goes_as_a_whole() {
    let bridge = Bridge::new(Clock::system());
    let register = |var_id: &str| {
        bridge.register(Registration {
            var_id: var_id.to_owned(),
            default_value: Value::Null,
            write_rule: WriteRule::LastWriteWins,
        })
    };
    for name in ["r/node_registry/a/x", "r/node_registry/a/y/z", "r/node_registry/b/x", "c"] {
        register(name);
    }
    let keep = |var_id: &str| {
        bridge.set(Update {
            var_id: var_id.to_owned(),
            value: Value::Null,
            current_version: None,
            lock_token: None,
        })
    };
    for _ in 0..3 {
        bridge.clock.sleep(STALE / 2).await;
        keep("r/node_registry/a/x");
        bridge.evict();
    }
    let left: Vec<String> = bridge.variables().keys().cloned().collect();
    assert_eq!(left, ["r/node_registry/a/x", "r/node_registry/a/y/z"]);
}
