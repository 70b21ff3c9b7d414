//! What the generator refuses: each with a sentence that names the element.

use protox::Compiler;
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};

const NAME: &str = "refused/v1/service.proto";

struct Source(String);

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            NAME => File::from_source(name, &self.0),
            other => Err(protox::Error::file_not_found(other)),
        }
    }
}

/// The code for a service with one RPC, over messages with these fields.
fn generate(rpc: &str, request: &str, response: &str) -> Result<String, String> {
    let source = format!(
        r#"syntax = "proto3";
        package refused.v1;
        import "google/api/annotations.proto";
        import "google/protobuf/any.proto";
        import "google/protobuf/empty.proto";
        import "google/protobuf/field_mask.proto";
        import "orqit/v1/options.proto";
        service S {{ rpc Do{rpc} }}
        message Req {{ {request} }}
        message Res {{ {response} }}"#
    );
    let mut resolver = ChainFileResolver::new();
    resolver.add(Source(source));
    resolver.add(IncludeFileResolver::new("../proto".into()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(NAME).expect("the source compiles");
    let descriptors = compiler.encode_file_descriptor_set();
    rest_build::code(&descriptors, "refused.v1").map_err(|error| error.to_string())
}

fn refusal(rpc: &str, request: &str, response: &str) -> String {
    generate(rpc, request, response).expect_err("it is refused")
}

const GET: &str = r#"(Req) returns (Res) { option (google.api.http) = {get: "/v1/{id}"}; }"#;

#[test]
fn a_list_that_may_be_absent_is_one_field_of_an_answer() {
    let list = |fields: &str| {
        format!("message L {{ option (orqit.v1.list) = true; {fields} }} optional L l = 2;")
    };
    let (one, two) = ("repeated string a = 1;", "repeated string a = 1; repeated string b = 2;");
    assert_eq!(
        refusal(GET, "string id = 1;", &list(two)),
        "Res.L: (list) is for a message of one list"
    );
    assert_eq!(
        refusal(GET, "string id = 1;", &list("string a = 1;")),
        "Res.L: (list) is for a message of one list"
    );
    assert_eq!(
        refusal(GET, &format!("string id = 1; {}", list(one)), ""),
        "refused.v1.S.Do: refused.v1.Req.L is a (list), which no request may have"
    );
    assert!(generate(GET, "string id = 1;", &list(one)).is_ok());
}

#[test]
fn a_stream_is_opened_by_get() {
    let post = GET.replace("returns (Res)", "returns (stream Res)").replace("get:", "post:");
    assert_eq!(
        refusal(&post, "string id = 1;", ""),
        "refused.v1.S.Do: a stream needs an HTTP rule that is `get` and has no response_body"
    );
    assert!(generate("(Req) returns (stream Res);", "string id = 1;", "").is_ok());
}

#[test]
fn an_rpc_that_takes_a_stream_is_refused() {
    assert_eq!(
        refusal("(stream Req) returns (Res);", "string id = 1;", ""),
        "refused.v1.S.Do takes a stream: not supported"
    );
}

#[test]
fn what_an_event_stream_names_must_be_there() {
    let rpc = r#"(Req) returns (stream Res) {
        option (orqit.v1.event_stream) = {data: "event" id: "id" checkpoint: "at"};
    }"#;
    let event = "message Event { int64 id = 1; }";
    let fits = format!("{event} oneof told {{ Event event = 1; int64 at = 2; }}");
    assert!(generate(rpc, "string id = 1;", &fits).is_ok());
    let oneof = "refused.v1.S.Do: (event_stream) needs a stream whose message has a oneof of";
    for (response, sentence) in [
        ("int64 at = 2;".to_owned(), format!("{oneof} `event` and `at` alone")),
        (
            format!("{event} Event event = 1; int64 at = 2;"),
            format!("{oneof} `event` and `at` alone"),
        ),
        (
            fits.replace("int64 at", "string text = 3; int64 at"),
            format!("{oneof} `event` and `at` alone"),
        ),
        (
            fits.replace("int64 id", "string id"),
            "refused.v1.S.Do: (event_stream) needs an int64 for `id` and `checkpoint`".to_owned(),
        ),
    ] {
        assert_eq!(refusal(rpc, "string id = 1;", &response), sentence, "{response}");
    }
}

#[test]
fn a_variable_must_be_a_field_that_text_can_write() {
    assert!(generate(GET, "string id = 1;", "").is_ok());
    for request in ["", "repeated string id = 1;", "Req id = 1;", "map<string, string> id = 1;"] {
        assert_eq!(
            refusal(GET, request, ""),
            "Do: {id} is not a field that a path can set",
            "{request}"
        );
    }
}

#[test]
fn a_body_must_be_a_message() {
    let post = r#"(Req) returns (Res) {
        option (google.api.http) = {post: "/v1/{id}" body: "thing"};
    }"#;
    assert!(generate(post, "string id = 1; Req thing = 2;", "").is_ok());
    for thing in ["string thing = 2;", "repeated Req thing = 2;", ""] {
        assert_eq!(
            refusal(post, &format!("string id = 1; {thing}"), ""),
            r#"refused.v1.Req: body "thing" is not a field that is a message"#,
            "{thing}"
        );
    }
}

#[test]
fn a_response_body_must_be_a_field() {
    let get = r#"(Req) returns (Res) {
        option (google.api.http) = {get: "/v1" response_body: "thing"};
    }"#;
    assert!(generate(get, "", "repeated Res thing = 1;").is_ok());
    assert!(generate(get, "", "string thing = 1;").is_ok());
    assert_eq!(refusal(get, "", ""), "Do: Res has no field thing");
}

#[test]
fn a_message_of_another_package_is_named() {
    let sentence = refusal(GET, "string id = 1; google.protobuf.Any any = 2;", "");
    assert_eq!(sentence, "refused.v1.Req.any has a type of another package: not supported");
    let rpc = "(google.protobuf.Empty) returns (Res);";
    let sentence = refusal(rpc, "", "");
    assert_eq!(sentence, "refused.v1.S.Do has a message of another package: not supported");
}

#[test]
fn an_updated_resource_must_exist_and_its_request_must_have_a_mask() {
    let patch = r#"(Req) returns (Res) { option (google.api.http) = {patch: "/v1" body: "*"}; }"#;
    let mask = "google.protobuf.FieldMask update_mask = 1;";
    let updates = |name: &str| format!("option (orqit.v1.updates) = \"{name}\";");
    let request = format!("{} {mask}", updates("refused.v1.Res"));
    assert!(generate(patch, &request, "").is_ok());
    let request = format!("{} {mask}", updates("refused.v1.Nothing"));
    assert_eq!(
        refusal(patch, &request, ""),
        "Req: (updates) names refused.v1.Nothing, which is not there"
    );
    assert_eq!(
        refusal(patch, &updates("refused.v1.Res"), ""),
        "Req: (updates) needs a field google.protobuf.FieldMask update_mask"
    );
}

#[test]
fn a_field_that_the_updated_resource_lacks_is_refused() {
    let patch = r#"(Req) returns (Res) { option (google.api.http) = {patch: "/v1" body: "*"}; }"#;
    let request = "option (orqit.v1.updates) = \"refused.v1.Res\"; \
                   google.protobuf.FieldMask update_mask = 1; optional string title = 2;";
    assert!(generate(patch, request, "string title = 1;").is_ok());
    assert_eq!(
        refusal(patch, request, "string name = 1;"),
        "Req.title is not a field of Res, which the request updates"
    );
}

#[test]
fn a_field_of_another_type_than_in_the_resource_is_for_the_service_to_merge() {
    let patch = r#"(Req) returns (Res) { option (google.api.http) = {patch: "/v1" body: "*"}; }"#;
    let request = "option (orqit.v1.updates) = \"refused.v1.Res\"; \
                   google.protobuf.FieldMask update_mask = 1; optional string title = 2;";
    for (field, is_merged) in [
        ("optional string title = 1;", true),
        ("int64 title = 1;", false),
        ("repeated string title = 1;", false),
    ] {
        let code = generate(patch, request, field).expect("code");
        assert_eq!(code.contains("rest::Merge for"), is_merged, "{field}");
    }
}

#[test]
fn one_list_of_a_request_can_be_judged() {
    let rpc = r#"(Req) returns (Res) { option (google.api.http) = {post: "/v1" body: "*"}; }"#;
    let item = "message Item { string name = 1; }";
    let judged = "[(orqit.v1.rules).judged = true];";
    let list = format!("{item} repeated Item items = 1 {judged}");
    assert!(generate(rpc, &list, "").is_ok());
    let sentence = "refused.v1.S.Do: `judged` is for one list of messages in the request itself";
    for request in [
        format!("{list} repeated Item others = 2 {judged}"),
        format!("repeated string names = 1 {judged}"),
        format!("{item} Item item = 1 {judged}"),
        format!("message Outer {{ {list} }} Outer outer = 1;"),
    ] {
        assert_eq!(refusal(rpc, &request, ""), sentence, "{request}");
    }
}

#[test]
fn a_field_may_only_have_values_of_its_enum() {
    let rpc = r#"(Req) returns (Res) { option (google.api.http) = {post: "/v1" body: "*"}; }"#;
    let field = |value: &str| {
        format!(
            r#"enum Stage {{ STAGE_UNSPECIFIED = 0; STAGE_NEW = 1; STAGE_OLD = 2; }}
            Stage stage = 1 [(orqit.v1.rules).one_of = "{value}"];"#
        )
    };
    assert!(generate(rpc, &field("NEW"), "").is_ok());
    let sentence = "refused.v1.S.Do: stage may be YOUNG, which its enum does not have";
    assert_eq!(refusal(rpc, &field("YOUNG"), ""), sentence);
}

#[test]
fn a_step_leads_to_a_value_of_its_enum() {
    let step = |to: &str| {
        format!(
            r#"string id = 1; enum Stage {{
                STAGE_UNSPECIFIED = 0;
                STAGE_NEW = 1 [(orqit.v1.step) = {{ to: ["{to}"] }}];
                STAGE_OLD = 2;
            }} Stage stage = 2;"#
        )
    };
    assert_eq!(
        refusal(GET, "string id = 1;", &step("GONE")),
        "STAGE_NEW leads to GONE, which the enum does not have"
    );
    let code = generate(GET, "string id = 1;", &step("OLD")).expect("it is right");
    assert!(code.contains("impl ::rest::Steps for"), "{code}");
}
