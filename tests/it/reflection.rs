//! Server reflection: what is asked for and is not there is told, and the call goes on.

use futures_util::StreamExt;
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto};
use tonic::{Code, Streaming};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{
    ExtensionRequest, ServerReflectionRequest, ServerReflectionResponse,
};

use crate::support::grpc::call;
use crate::support::server::Orqit;
use crate::support::wire::soon;

const CALL: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// An open call of reflection.
struct Asking {
    requests: tokio::sync::mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl Asking {
    async fn start(orqit: &Orqit) -> Self {
        let (requests, asked) = tokio::sync::mpsc::channel(1);
        let asked = futures_util::stream::unfold(asked, |mut asked| async move {
            Some((asked.recv().await?, asked))
        });
        let mut client = ServerReflectionClient::new(orqit.channel().await);
        let answers = soon(client.server_reflection_info(asked)).await.expect("a call");
        Self { requests, answers: answers.into_inner() }
    }

    async fn ask(&mut self, request: MessageRequest) -> MessageResponse {
        let host = "x".to_owned();
        let request = ServerReflectionRequest { host, message_request: Some(request) };
        self.requests.send(request.clone()).await.expect("open");
        let answer = soon(self.answers.next()).await.expect("open").expect("an answer");
        assert_eq!((answer.valid_host.as_str(), answer.original_request), ("x", Some(request)));
        answer.message_response.expect("one of them")
    }

    async fn file(&mut self, request: MessageRequest) -> FileDescriptorProto {
        let MessageResponse::FileDescriptorResponse(found) = self.ask(request).await else {
            panic!("no file");
        };
        FileDescriptorProto::decode(found.file_descriptor_proto[0].as_slice()).expect("a file")
    }
}

fn extension(name: &str, number: i32) -> MessageRequest {
    let containing_type = name.to_owned();
    let extension_number = number;
    MessageRequest::FileContainingExtension(ExtensionRequest { containing_type, extension_number })
}

#[tokio::test]
async fn what_is_not_there_is_told_and_the_call_goes_on() {
    let orqit = Orqit::start().await;
    let mut asking = Asking::start(&orqit).await;
    for absent in [
        MessageRequest::FileContainingSymbol("orqit.v1.Nothing".to_owned()),
        MessageRequest::FileByFilename("nothing.proto".to_owned()),
        extension("google.protobuf.MethodOptions", 1),
        extension("orqit.v1.Nothing", 50101),
        MessageRequest::AllExtensionNumbersOfType("orqit.v1.Nothing".to_owned()),
    ] {
        let MessageResponse::ErrorResponse(error) = asking.ask(absent.clone()).await else {
            panic!("{absent:?} is there");
        };
        assert_eq!(error.error_code, i32::from(Code::NotFound), "{absent:?}");
        assert!(
            error.error_message.starts_with("There is no")
                || error.error_message.contains("has no extension")
        );
    }
    let file = asking.file(MessageRequest::FileContainingSymbol("orqit.v1.Ticket".to_owned()));
    assert_eq!(file.await.package(), "orqit.v1");
}

#[tokio::test]
async fn details_of_refusals_and_options_of_ours_are_described() {
    let orqit = Orqit::start().await;
    let mut asking = Asking::start(&orqit).await;
    let name = "google/rpc/error_details.proto".to_owned();
    let file = asking.file(MessageRequest::FileByFilename(name)).await;
    let names: Vec<_> = file.message_type.iter().map(DescriptorProto::name).collect();
    assert!(names.contains(&"ErrorInfo") && names.contains(&"BadRequest"), "{names:?}");
    for symbol in ["google.rpc.ErrorInfo", "orqit.v1.TicketService.GetTicket", "orqit.v1.Ticket.id"]
    {
        asking.file(MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
    }
    let file = asking.file(extension("google.protobuf.MethodOptions", 50101)).await;
    assert_eq!(file.name(), "orqit/v1/options.proto");
    let all = MessageRequest::AllExtensionNumbersOfType("google.protobuf.FieldOptions".to_owned());
    let MessageResponse::AllExtensionNumbersResponse(numbers) = asking.ask(all).await else {
        panic!("no numbers");
    };
    assert!(numbers.extension_number.contains(&50102), "{numbers:?}");
    // Files are as they were compiled: the policy of an RPC is in its options.
    let symbol = MessageRequest::FileContainingSymbol("orqit.v1.SystemService".to_owned());
    let MessageResponse::FileDescriptorResponse(file) = asking.ask(symbol).await else {
        panic!("no file");
    };
    let policy = [0xaa, 0xbb, 0x18];
    let bytes = &file.file_descriptor_proto[0];
    assert!(bytes.windows(3).any(|window| window == policy), "field 50101, a message");
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_clients_fault() {
    let orqit = Orqit::start().await;
    let alpha = CALL.replace("v1.", "v1alpha.");
    let health = ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"];
    for path in [CALL, &alpha].into_iter().chain(health) {
        // A field that says it is longer than the message; half a frame; no frame at all.
        for body in [vec![0, 0, 0, 0, 2, 0x0a, 0x7f], vec![0, 0, 0, 0, 9, 1], vec![0, 0]] {
            let status = call(orqit.address, path, &[], body.clone()).await.status();
            assert_eq!(status.code(), Code::InvalidArgument, "{path} {body:?}: {status:?}");
        }
    }
}
