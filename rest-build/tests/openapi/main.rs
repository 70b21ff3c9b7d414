//! The OpenAPI document of the API's own protos, and of a small one that uses what they do not.

mod fits;

use std::collections::BTreeSet;
use std::path::Path;

use fits::fits;
use prost_reflect::DescriptorPool;
use rest_build::openapi::{Info, document};
use serde_json::{Value, json};

const TICKETS: &str = "/api/public/v1/tickets";
const TICKET: &str = "/api/public/v1/tickets/{id}";

fn compile(files: Vec<std::path::PathBuf>) -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new(
        ["../proto", "tests/proto", "probe/proto"].map(|folder| root.join(folder)),
    )
    .expect("the folders are there");
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(files).expect("the protos compile");
    compiler.descriptor_pool()
}

fn api_pool() -> DescriptorPool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/orqit/v1");
    let files = std::fs::read_dir(folder).expect("the protos are there");
    let mut files: Vec<_> = files.map(|file| file.expect("it can be listed").path()).collect();
    files.sort();
    compile(files)
}

fn write(pool: &DescriptorPool) -> Value {
    let info = Info {
        title: "Orqit API",
        version: "1.2.3",
        description: "An API.",
        contact: "Orqit",
        license: "Apache-2.0",
    };
    document(pool, &info)
}

fn api() -> Value {
    write(&api_pool())
}

fn shop() -> Value {
    write(&compile(vec!["shop.proto".into()]))
}

fn schema<'d>(document: &'d Value, name: &str) -> &'d Value {
    &document["components"]["schemas"][name]
}

/// Every operation, with its path and method.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("there are paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("a path has methods");
        methods.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flat_map(|object| object.keys()).map(String::as_str).collect()
}

/// Calls `visit` with every value of the document that is an object.
fn walk<'d>(value: &'d Value, visit: &mut impl FnMut(&'d Value)) {
    match value {
        Value::Object(object) => {
            visit(value);
            object.values().for_each(|value| walk(value, visit));
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

fn references(document: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    walk(document, &mut |object| found.extend(object["$ref"].as_str()));
    found
}

#[test]
fn every_rpc_with_an_http_rule_has_an_operation() {
    let (pool, document) = (api_pool(), api());
    let documented: BTreeSet<_> = operations(&document)
        .into_iter()
        .filter_map(|(_, operation)| operation["x-orqit-rpc"].as_str())
        .collect();
    let http = pool.get_extension_by_name("google.api.http").expect("it is declared");
    for service in pool.services() {
        for method in service.methods().filter(|method| method.options().has_extension(&http)) {
            let rpc = format!("{}/{}", service.full_name(), method.name());
            assert!(documented.contains(rpc.as_str()), "{rpc}");
        }
    }
}

#[test]
fn operations_have_ids_of_their_own() {
    let document = api();
    let operations = operations(&document);
    let ids: BTreeSet<_> =
        operations.iter().map(|(_, operation)| operation["operationId"].as_str()).collect();
    assert_eq!(ids.len(), operations.len());
    assert_eq!(document["paths"][TICKET]["patch"]["operationId"], "updateTicket");
    assert_eq!(document["paths"][TICKET]["put"]["operationId"], "updateTicketPut");
}

#[test]
fn the_same_descriptors_give_the_same_bytes() {
    assert_eq!(api().to_string(), api().to_string());
}

#[test]
fn no_reference_dangles_and_no_component_is_unused() {
    for document in [api(), shop()] {
        let used = references(&document);
        for target in &used {
            let pointer = target.strip_prefix('#').expect("it stays within the document");
            assert!(document.pointer(pointer).is_some_and(Value::is_object), "{target}");
        }
        for section in ["schemas", "responses", "parameters", "headers"] {
            for name in keys(&document["components"][section]) {
                let target = format!("#/components/{section}/{name}");
                assert!(used.contains(target.as_str()), "{target}");
            }
        }
    }
}

#[test]
fn a_create_requires_what_is_required_and_takes_null_for_the_rest() {
    let document = api();
    let create = schema(&document, "CreateTicketRequest");
    assert_eq!(create["required"], json!(["title", "description", "type"]));
    assert_eq!(create["additionalProperties"], false);
    let fields = &create["properties"];
    assert_eq!(fields["title"]["type"], "string");
    assert_eq!(
        (&fields["title"]["minLength"], &fields["title"]["maxLength"]),
        (&json!(1), &json!(255))
    );
    assert_eq!(fields["externalId"]["type"], json!(["string", "null"]));
    assert_eq!(fields["tags"]["type"], json!(["array", "null"]));
    assert_eq!(fields["tags"]["maxItems"], 20);
    assert_eq!(fields["tags"]["uniqueItems"], true);
    assert_eq!(fields["requesterId"]["maximum"], i64::MAX);
    assert_eq!(fields["type"]["$ref"], "#/components/schemas/TicketType");
    assert_eq!(fields["priority"]["anyOf"][1], json!({ "type": "null" }));
}

#[test]
fn an_update_requires_nothing_and_clears_only_what_is_not_required() {
    let document = api();
    let update = schema(&document, "UpdateTicketRequest");
    assert_eq!(update.get("required"), None);
    let fields = &update["properties"];
    assert_eq!(fields["title"]["type"], "string");
    assert!(fields["status"].get("$ref").is_some());
    assert_eq!(fields["resolution"]["type"], json!(["string", "null"]));
    assert_eq!(fields["dueAt"]["type"], json!(["string", "null"]));
    assert_eq!(fields.get("id"), None, "the path has it");
    assert_eq!(fields.get("updateMask"), None, "the body is the mask");
    let content = &document["paths"][TICKET]["patch"]["requestBody"]["content"];
    assert_eq!(keys(content), ["application/json", "application/merge-patch+json"]);
    let content = &document["paths"][TICKET]["put"]["requestBody"]["content"];
    assert_eq!(keys(content), ["application/json"]);
}

#[test]
fn an_answer_has_every_key_and_null_for_what_may_be_unset() {
    let document = api();
    let ticket = schema(&document, "Ticket");
    assert_eq!(json!(keys(&ticket["properties"])), ticket["required"]);
    let fields = &ticket["properties"];
    assert_eq!(fields["id"]["type"], "integer");
    assert_eq!(fields["assigneeId"]["type"], json!(["integer", "null"]));
    assert_eq!(fields["createdAt"]["type"], json!(["string", "null"]));
    assert_eq!(fields["watcherUserIds"]["type"], "array");
    assert!(fields["status"].get("$ref").is_some());
    assert!(fields["impact"].get("anyOf").is_some());
}

#[test]
fn answers_stand_in_the_envelope() {
    let document = api();
    let list = schema(&document, "ListTicketsEnvelope");
    assert_eq!(list["required"], json!(["success", "data", "meta"]));
    assert_eq!(list["properties"]["data"]["items"]["$ref"], "#/components/schemas/Ticket");
    let single = schema(&document, "GetTicketEnvelope");
    assert_eq!(single["required"], json!(["success", "data"]));
    assert_eq!(single["properties"]["data"], json!({ "$ref": "#/components/schemas/Ticket" }));
}

#[test]
fn a_success_has_the_status_of_the_policy_and_the_tag_of_a_version() {
    let document = api();
    let created = &document["paths"][TICKETS]["post"]["responses"]["201"];
    let limits = [
        "RateLimit-Policy",
        "RateLimit",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "X-RateLimit-Resource",
    ];
    let of_create = [&["X-Request-Id", "ETag"], &limits[..], &["Idempotent-Replayed"]].concat();
    assert_eq!(keys(&created["headers"]), of_create);
    let listed = &document["paths"][TICKETS]["get"]["responses"]["200"];
    assert_eq!(keys(&listed["headers"]), [&["X-Request-Id"], &limits[..]].concat());
    let ping = &document["paths"]["/api/public/v1/ping"]["get"]["responses"]["200"];
    assert_eq!(keys(&ping["headers"]), ["X-Request-Id"]);
}

#[test]
fn each_operation_lists_the_refusals_that_it_can_answer() {
    let document = api();
    let statuses =
        |path: &str, method: &str| keys(&document["paths"][path][method]["responses"]).join(" ");
    assert_eq!(statuses("/api/public/v1/ping", "get"), "200 400 405 415 500 503 504");
    assert_eq!(
        statuses("/api/public/v1/keys/self", "get"),
        "200 304 400 401 405 412 415 429 500 503 504"
    );
    assert_eq!(statuses(TICKET, "get"), "200 304 400 401 403 404 405 412 415 429 500 503 504");
    assert_eq!(statuses(TICKETS, "post"), "201 400 401 403 405 408 409 413 415 429 500 503 504");
    let update = "200 400 401 403 404 405 408 409 412 413 415 429 500 503 504";
    assert_eq!(statuses(TICKET, "patch"), update);
    assert_eq!(statuses(TICKET, "put"), update);
    assert_eq!(statuses("/api/public/v1/keys/{id}", "patch"), update);
    let report = "200 400 405 408 413 415 429 500 503 504";
    assert_eq!(statuses("/api/public/v1/keys/report-leak", "post"), report);
}

#[test]
fn a_refusal_names_its_codes() {
    let document = api();
    let description = |method: &str, status: &str| {
        document["paths"][TICKET][method]["responses"][status]["description"].to_string()
    };
    assert!(description("get", "404").contains("TICKET_NOT_FOUND"));
    assert!(!description("get", "404").contains("ROUTE_NOT_FOUND"));
    assert!(!description("get", "400").contains("MALFORMED_JSON"));
    assert!(description("patch", "400").contains("MALFORMED_JSON"));
    assert!(description("patch", "409").contains("INVALID_STATUS_TRANSITION"));
    let codes = &schema(&document, "Error")["properties"]["error"]["properties"]["code"]["enum"];
    let codes = codes.as_array().expect("the codes are listed");
    assert!(codes.contains(&json!("INTERNAL_ERROR")) && !codes.contains(&json!("UNSPECIFIED")));
}

#[test]
fn who_may_call_stands_on_the_operation() {
    let document = api();
    assert_eq!(document["paths"]["/api/public/v1/ping"]["get"]["security"], json!([]));
    let list = &document["paths"][TICKETS]["get"];
    assert_eq!(list["security"], json!([{ "bearerAuth": [] }, { "apiKeyHeader": [] }]));
    assert_eq!(list["x-orqit-scope"], "tickets:read");
    assert_eq!(list["x-orqit-group"], "tickets");
    assert!(list["description"].as_str().is_some_and(|text| text.contains("`tickets:read`")));
}

#[test]
fn query_parameters_have_their_bounds_and_lists_take_commas() {
    let document = api();
    let parameters = document["paths"][TICKETS]["get"]["parameters"].as_array();
    let parameters = parameters.expect("a list has parameters");
    let parameter = |name: &str| {
        parameters.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(parameter("perPage")["schema"]["maximum"], 100);
    assert_eq!(parameter("tag")["schema"]["minLength"], 1);
    assert_eq!(parameter("sort")["schema"]["enum"][1], "-createdAt");
    for name in ["status", "assigneeId"] {
        assert_eq!(parameter(name)["explode"], true, "{name}");
        assert_eq!(parameter(name)["schema"]["minItems"], 1, "{name}");
    }
    assert!(parameters.iter().all(|one| one["description"] != ""));
}

#[test]
fn enums_have_short_names_and_never_the_unspecified_one() {
    let document = api();
    let names = json!(["LOW", "MEDIUM", "HIGH", "CRITICAL"]);
    assert_eq!(schema(&document, "Priority")["enum"], names);
}

#[test]
fn comments_are_the_descriptions() {
    let document = api();
    let list = &document["paths"][TICKETS]["get"];
    assert_eq!(list["summary"], "Lists tickets, newest first unless `sort` says otherwise");
    assert_eq!(
        schema(&document, "Ticket")["description"],
        "One piece of work of the service desk."
    );
    let info = document["info"]["description"].as_str().unwrap_or_default();
    assert!(info.starts_with("An API."));
    assert!(info.contains("| `MISSING_API_KEY` | 401 | No key was sent. |"));
    let undescribed = operations(&document).into_iter().find(|(_, one)| one["description"] == "");
    assert_eq!(undescribed.map(|(operation, _)| operation), None);
}

#[test]
fn examples_fit_their_schemas() {
    for document in [api(), shop()] {
        let mut seen = 0;
        walk(&document, &mut |media| {
            if let (Some(schema), Some(example)) = (media.get("schema"), media.get("example")) {
                fits(&document, schema, example).unwrap_or_else(|wrong| panic!("{wrong}"));
                seen += 1;
            }
        });
        assert!(seen > 5, "{seen}");
    }
}

#[test]
fn the_example_of_a_new_ticket_begins_with_the_one_of_the_guide() {
    let document = api();
    let create = &document["paths"][TICKETS]["post"];
    let guide = json!({
        "title": "VPN not connecting",
        "description": "User cannot connect to corporate VPN from home.",
        "type": "INCIDENT",
        "category": "NETWORK",
        "priority": "MEDIUM",
    });
    let body = &create["requestBody"]["content"]["application/json"]["example"];
    let given = body.as_object().into_iter().flatten().take(5);
    assert!(given.eq(guide.as_object().into_iter().flatten()), "{body}");
    let answer = &create["responses"]["201"]["content"]["application/json"]["example"]["data"];
    assert_eq!(answer["category"], "NETWORK");
    assert_eq!(answer["status"], "OPEN");
    assert_eq!(answer["tags"], body["tags"]);
}

#[test]
fn a_named_body_leaves_the_other_fields_to_the_query() {
    let document = shop();
    let change = &document["paths"]["/orders/{orderId}/lines/{lineNo}"]["post"];
    let parameters = change["parameters"].as_array().into_iter().flatten();
    let places: Vec<_> = parameters.map(|one| format!("{} {}", one["in"], one["name"])).collect();
    assert_eq!(places, [r#""path" "orderId""#, r#""path" "lineNo""#, r#""query" "notes""#]);
    assert_eq!(change["parameters"][2]["explode"], true, "in words a comma is data");
    let description = change["description"].as_str().expect("text");
    let of_map =
        "Query parameters `having.<key>`, each at most once: A value that the order must have.";
    assert!(description.contains(of_map), "{description}");
    let body = &change["requestBody"]["content"]["application/json"];
    assert_eq!(body["schema"]["$ref"], "#/components/schemas/LineInput");
    assert_eq!(body["example"], json!({ "count": 3 }));
}

#[test]
fn routes_that_bind_other_fields_have_bodies_and_ids_of_their_own() {
    let document = shop();
    let (first, second) = ("/lines/{lineNo}", "/orders/{orderId}/change_line");
    let body = |path: &str| {
        let content = &document["paths"][path]["post"]["requestBody"]["content"];
        content["application/json"]["schema"]["$ref"].to_string()
    };
    assert!(body(first).contains("/ChangeLineRequest"));
    assert!(body(second).contains("/ChangeLinePost2Body"));
    assert_eq!(document["paths"][first]["post"]["operationId"], "changeLinePost");
    assert_eq!(document["paths"][second]["post"]["operationId"], "changeLinePost2");
}

#[test]
fn a_summary_is_the_first_sentence() {
    let change = &shop()["paths"]["/lines/{lineNo}"]["post"];
    assert_eq!(change["summary"], "Changes a line, e.g. its count (POST)");
}

#[test]
fn a_message_that_goes_both_ways_has_two_schemas() {
    let document = shop();
    assert_eq!(schema(&document, "LineInput")["required"], json!(["count"]));
    let every = json!(["count", "next", "extra", "words", "part"]);
    assert_eq!(schema(&document, "Line")["required"], every);
}

#[test]
fn a_string_that_takes_a_number_says_so_in_requests_and_is_a_string_in_answers() {
    let document = shop();
    let part = |name: &str| schema(&document, name)["properties"]["part"]["type"].clone();
    assert_eq!(part("LineInput"), json!(["string", "integer", "null"]));
    assert_eq!(part("Line"), json!(["string", "null"]));
}

#[test]
fn a_stream_is_documented_in_both_of_its_formats() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tower = root.join("probe/proto/probe/streams/v1/tower.proto");
    let document = write(&compile(vec![tower, root.join("../proto/orqit/v1/errors.proto")]));
    let flights = &document["paths"]["/api/public/v1/towers/{tower}/flights"]["get"];
    let content = &flights["responses"]["200"]["content"];
    assert_eq!(keys(content), ["text/event-stream", "application/x-ndjson"]);
    let of = |format: &str| content[format]["schema"]["contentSchema"].clone();
    let flight = json!({ "$ref": "#/components/schemas/Flight" });
    assert!(of("text/event-stream").to_string().contains(&flight["$ref"].to_string()));
    let lines = of("application/x-ndjson");
    let lines = lines["anyOf"].as_array().expect("kinds of lines");
    let members = lines.iter().map(|line| keys(&line["properties"]).join(","));
    assert_eq!(members.collect::<Vec<_>>(), ["flight", "checkpoint", ""]);
    assert_eq!(lines[2], json!({ "$ref": "#/components/schemas/Error" }));
    let parameters = flights["parameters"].as_array().expect("parameters");
    let resumes = json!({ "$ref": "#/components/parameters/Last-Event-ID" });
    assert!(parameters.contains(&resumes));
    let refusals = flights["responses"]["429"]["description"].as_str().expect("text");
    assert!(refusals.contains("`TOO_MANY_STREAMS`"), "{refusals}");
    // One that is not resumed.
    let wind = &document["paths"]["/api/public/v1/wind"]["get"];
    assert_eq!(wind.get("parameters"), None);
}
