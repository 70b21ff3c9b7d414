//! Server reflection: describes the services to tools such as grpcurl.
//!
//! What a client asks for and is not there is answered as an error in the stream, which goes on. A
//! file is answered as it was compiled, with options of ours. The answers are made while they are read,
//! so a client that reads none is read from no further.

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server::ServerReflection;
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, ExtensionRequest, FileDescriptorResponse,
    ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};

use crate::error::{Error, Kind};
use crate::pb;

/// The files of the services and of what they import. `google/rpc` comes apart.
const DESCRIPTORS: [&[u8]; 5] = [
    pb::DESCRIPTORS,
    pb::WELL_KNOWN,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// The service that describes the services.
pub struct Reflection {
    files: Arc<Files>,
    /// The longest time until the next request of a call comes.
    within: Duration,
}

/// A set of files, each as it was encoded: decoding it would lose options that prost does not know.
#[derive(Clone, PartialEq, prost::Message)]
struct FileSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

/// The files, and where everything is declared.
#[derive(Default)]
struct Files {
    services: BTreeSet<String>,
    by_name: HashMap<String, Bytes>,
    by_symbol: HashMap<String, Bytes>,
    /// The extensions, by the message that is extended.
    extensions: HashMap<String, HashMap<i32, Bytes>>,
}

impl Reflection {
    /// Makes the reflection service of everything that is served here.
    pub fn new(within: Duration) -> Result<Self, String> {
        let mut files = Files::default();
        let failed = |error| format!("the protobuf definitions cannot be served: {error}");
        for set in DESCRIPTORS {
            for encoded in FileSet::decode(set).map_err(failed)?.file {
                let file = FileDescriptorProto::decode(encoded.clone()).map_err(failed)?;
                files.add(&file, &encoded);
            }
        }
        // Status and the details of refusals, which tonic compiled without the folder of their name.
        let details = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET);
        for mut file in details.map_err(failed)?.file {
            file.name = Some(format!("google/rpc/{}", file.name()));
            files.add(&file, &file.encode_to_vec().into());
        }
        Ok(Self { files: Arc::new(files), within })
    }
}

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream =
        Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send>>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let (files, within) = (Arc::clone(&self.files), self.within);
        let answers = stream::unfold(Some(request.into_inner()), move |requests| {
            let files = Arc::clone(&files);
            async move {
                let mut requests = requests?;
                match tokio::time::timeout(within, requests.message()).await {
                    Ok(Ok(Some(request))) => Some((Ok(files.answer(request)), Some(requests))),
                    Ok(Ok(None)) => None,
                    Ok(Err(status)) => Some((Err(refusal(status)), None)),
                    Err(_) => Some((Err(too_late(within)), None)),
                }
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Returns the answer to a message that cannot be read.
fn refusal(status: Status) -> Status {
    Error::of_status(status).map_or_else(|status| status, Status::from)
}

fn too_late(within: Duration) -> Status {
    let message = format!("No request came within {within:?}. Open the call again.");
    Error::new(Kind::RequestTimeout, message).into()
}

impl Files {
    fn answer(&self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let found = match &request.message_request {
            Some(MessageRequest::FileByFilename(name)) => {
                self.by_name.get(name).map(file).ok_or_else(|| format!("There is no file {name}."))
            }
            Some(MessageRequest::FileContainingSymbol(name)) => {
                let found = self.by_symbol.get(name.trim_start_matches('.')).map(file);
                found.ok_or_else(|| format!("There is no symbol {name}."))
            }
            Some(MessageRequest::FileContainingExtension(asked)) => self.extension(asked),
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => self.extension_numbers(name),
            Some(MessageRequest::ListServices(_)) => Ok(self.list()),
            None => Err("The request asks for nothing: set one of its fields.".to_owned()),
        };
        let is_empty = request.message_request.is_none();
        let code = if is_empty { Code::InvalidArgument } else { Code::NotFound };
        let message = found.unwrap_or_else(|error_message| {
            MessageResponse::ErrorResponse(ErrorResponse { error_code: code.into(), error_message })
        });
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(message),
        }
    }

    fn extension(&self, asked: &ExtensionRequest) -> Result<MessageResponse, String> {
        let (name, number) =
            (asked.containing_type.trim_start_matches('.'), asked.extension_number);
        let found = self.extensions.get(name).and_then(|numbers| numbers.get(&number));
        found.map(file).ok_or_else(|| format!("{name} has no extension {number}."))
    }

    fn extension_numbers(&self, name: &str) -> Result<MessageResponse, String> {
        let name = name.trim_start_matches('.');
        if !self.by_symbol.contains_key(name) {
            return Err(format!("There is no message {name}."));
        }
        let numbers = self.extensions.get(name).into_iter().flat_map(HashMap::keys).copied();
        let mut extension_number: Vec<_> = numbers.collect();
        extension_number.sort_unstable();
        let base_type_name = name.to_owned();
        let numbers = ExtensionNumberResponse { base_type_name, extension_number };
        Ok(MessageResponse::AllExtensionNumbersResponse(numbers))
    }

    fn list(&self) -> MessageResponse {
        let service = self.services.iter().map(|name| ServiceResponse { name: name.clone() });
        MessageResponse::ListServicesResponse(ListServiceResponse { service: service.collect() })
    }

    /// Adds a file, unless it is there from another set.
    fn add(&mut self, file: &FileDescriptorProto, encoded: &Bytes) {
        if self.by_name.insert(file.name().to_owned(), encoded.clone()).is_some() {
            return;
        }
        let package = file.package();
        for message in &file.message_type {
            self.add_message(package, message, encoded);
        }
        for values in &file.enum_type {
            self.add_enum(package, values, encoded);
        }
        for field in &file.extension {
            self.add_extension(package, field, encoded);
        }
        for service in &file.service {
            let name = within(package, service.name());
            for method in &service.method {
                self.add_symbol(within(&name, method.name()), encoded);
            }
            self.services.insert(name.clone());
            self.add_symbol(name, encoded);
        }
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto, encoded: &Bytes) {
        let name = within(scope, message.name());
        for nested in &message.nested_type {
            self.add_message(&name, nested, encoded);
        }
        for values in &message.enum_type {
            self.add_enum(&name, values, encoded);
        }
        for field in &message.extension {
            self.add_extension(&name, field, encoded);
        }
        let members = message.field.iter().map(FieldDescriptorProto::name);
        for member in members.chain(message.oneof_decl.iter().map(|oneof| oneof.name())) {
            self.add_symbol(within(&name, member), encoded);
        }
        self.add_symbol(name, encoded);
    }

    /// The values of an enum are named beside it, not in it.
    fn add_enum(&mut self, scope: &str, values: &EnumDescriptorProto, encoded: &Bytes) {
        for value in &values.value {
            self.add_symbol(within(scope, value.name()), encoded);
        }
        self.add_symbol(within(scope, values.name()), encoded);
    }

    fn add_extension(&mut self, scope: &str, field: &FieldDescriptorProto, encoded: &Bytes) {
        let extended = field.extendee().trim_start_matches('.').to_owned();
        self.extensions.entry(extended).or_default().insert(field.number(), encoded.clone());
        self.add_symbol(within(scope, field.name()), encoded);
    }

    fn add_symbol(&mut self, name: String, encoded: &Bytes) {
        self.by_symbol.insert(name, encoded.clone());
    }
}

fn file(encoded: &Bytes) -> MessageResponse {
    let file_descriptor_proto = vec![encoded.to_vec()];
    MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
}

fn within(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
