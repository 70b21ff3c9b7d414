//! What the table of RPCs says.

use rest::{Access, IdempotencyKeyUse, Rpc};
use rest_probe::pb::RPCS;

fn rpc(method: &str) -> &'static Rpc {
    RPCS.iter().find(|rpc| rpc.method == method).expect("there is such an RPC")
}

#[test]
fn every_rpc_is_there_with_its_routes() {
    assert_eq!(RPCS.len(), 14);
    let list = rpc("ListBooks");
    assert_eq!(list.service, "probe.v1.LibraryService");
    assert_eq!(list.grpc_path, "/probe.v1.LibraryService/ListBooks");
    let templates: Vec<_> = list.routes.iter().map(|route| route.template).collect();
    assert_eq!(templates, ["/v1/books", "/v1/shelves/{shelf}/books"]);
    assert!(rpc("WatchBooks").routes.is_empty());
}

#[test]
fn a_policy_is_taken_over_and_a_missing_one_is_missed() {
    let create = rpc("CreateBook").policy.expect("it has a policy");
    assert_eq!(create.access, Access::Scope("books:create"));
    assert_eq!(create.success_status, 201);
    assert_eq!(create.idempotency_key, IdempotencyKeyUse::Required);
    assert_eq!(create.group, None);
    let list = rpc("ListBooks").policy.expect("it has a policy");
    assert_eq!((list.group, list.success_status), (Some("tickets"), 200));
    assert_eq!(list.idempotency_key, IdempotencyKeyUse::Ignored);
    assert_eq!(rpc("GetBook").policy.map(|policy| policy.access), Some(Access::Public));
    assert_eq!(rpc("Echo").policy.map(|policy| policy.access), Some(Access::Authenticated));
    assert_eq!(rpc("DeleteBook").policy, None);
}
