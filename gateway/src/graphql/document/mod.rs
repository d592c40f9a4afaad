//! What happens to a document before it is executed: counted, parsed (once, then cached), measured against the limits, its
//! operation chosen, the roots of mutations and subscriptions collected, variables completed. Everything that is refused
//! here is refused before any field runs. What a selection costs is computed by async-graphql from the weights declared
//! at the fields ([`MAX_COST`]).

mod measure;
mod roots;
mod tokens;
mod variables;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_graphql::{
    Name, Request, ServerError,
    parser::{
        parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet},
    },
};

use super::error::{DoorCode, Error};
use measure::{Extent, Unmeasurable};

/// Tokens of a document.
pub(crate) const MAX_TOKENS: usize = 1_000;
/// How deep fields may nest.
pub(crate) const MAX_DEPTH: u64 = 12;
/// Aliases, fragments expanded.
pub(crate) const MAX_ALIASES: u64 = 30;
/// Fields and fragments, fragments expanded.
pub(crate) const MAX_SELECTIONS: u64 = 3_000;
/// Mutations of one operation.
pub(crate) const MAX_ROOT_MUTATIONS: usize = 10;
/// The sum of the weights of the fields, each times the sizes of the pages around it.
pub(crate) const MAX_COST: usize = 50_000;
/// The same for an operation that only asks about the schema: GraphiQL's query nests 14 deep.
const MAX_INTROSPECTION_DEPTH: u64 = 20;
/// Selections of such an operation, fragments expanded: GraphiQL's query has about 300.
const MAX_INTROSPECTION_SELECTIONS: u64 = 600;
/// How deep its lists may nest; GraphiQL's query nests one.
const MAX_INTROSPECTION_LISTS: u64 = 2;
/// How much text of documents the cache keeps. A parsed document takes some twenty times its text.
const CACHED_BYTES: u64 = 1024 * 1024;

/// Names of the root types.
pub(crate) const QUERY: &str = "Query";
/// See [`QUERY`].
pub(crate) const MUTATION: &str = "Mutation";
/// See [`QUERY`].
pub(crate) const SUBSCRIPTION: &str = "Subscription";

/// A document that was parsed and measured.
#[derive(Debug)]
struct Parsed {
    document: ExecutableDocument,
    extent: Extent,
    /// See [`variables::page_sizes`].
    page_sizes: HashSet<Name>,
    /// Whether it was found to fit the schema, see [`Prepared::fits`].
    fits: AtomicBool,
}

/// What is known of a document that is ready to be executed.
pub(crate) struct Prepared {
    /// What sort of operation is asked for.
    pub kind: OperationType,
    parsed: Arc<Parsed>,
}

impl Prepared {
    /// Whether the document has been found to fit the schema before, so that checking it again tells nothing new. Only of
    /// a single query without variables: what else is asked is checked together with what is sent along.
    pub(crate) fn fits(&self) -> bool {
        self.parsed.fits.load(Ordering::Relaxed)
    }

    /// Whether the document asks about the schema, beyond `__typename`.
    pub(crate) fn introspects(&self) -> bool {
        self.parsed.extent.introspects
    }

    /// Remembers that the document passed every check of the schema.
    pub(crate) fn found_to_fit(&self) {
        let mut operations = self.parsed.document.operations.iter();
        if let (Some((_, operation)), None) = (operations.next(), operations.next())
            && operation.node.ty == OperationType::Query
            && operation.node.variable_definitions.is_empty()
        {
            self.parsed.fits.store(true, Ordering::Relaxed);
        }
    }
}

/// Parses documents and remembers those that are asked often.
#[derive(Clone)]
pub(crate) struct Documents {
    parsed: moka::future::Cache<Arc<str>, Arc<Parsed>>,
}

impl Default for Documents {
    fn default() -> Self {
        let weigh = |text: &Arc<str>, _: &Arc<Parsed>| u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self { parsed: moka::future::Cache::builder().max_capacity(CACHED_BYTES).weigher(weigh).build() }
    }
}

impl Documents {
    /// Makes `request` ready to be executed.
    ///
    /// # Errors
    /// When the document is no GraphQL or exceeds a limit, when the operation is unclear, or a variable is missing.
    /// Whether the document fits the schema is checked when it is executed.
    pub(crate) async fn prepare(&self, request: &mut Request) -> Result<Prepared, ServerError> {
        let parsed = self.parse(&request.query).await?;
        let operation = choose(&parsed.document, request.operation_name.as_deref())?;
        let kind = operation.ty;
        check_extent(&parsed, operation)?;
        variables::complete(operation, &parsed.page_sizes, &mut request.variables)?;
        let document = match kind {
            OperationType::Query => parsed.document.clone(),
            OperationType::Mutation | OperationType::Subscription => {
                collect_roots(&parsed.document, operation, request)?
            }
        };
        request.set_parsed_query(document);
        Ok(Prepared { kind, parsed })
    }

    async fn parse(&self, text: &str) -> Result<Arc<Parsed>, ServerError> {
        if let Some(parsed) = self.parsed.get(text).await {
            return Ok(parsed);
        }
        let parsed = Arc::new(read(text)?);
        self.parsed.insert(Arc::from(text), Arc::clone(&parsed)).await;
        Ok(parsed)
    }
}

/// Parses and measures a text.
fn read(text: &str) -> Result<Parsed, ServerError> {
    if tokens::count(text, MAX_TOKENS) > MAX_TOKENS {
        return Err(refuse(DoorCode::QueryTooLarge, format!("The document has more than {MAX_TOKENS} tokens.")));
    }
    let document = parse_query(text).map_err(not_graphql)?;
    let extent = measure::measure(&document).map_err(|Unmeasurable::Cycle(name)| {
        refuse(DoorCode::ValidationFailed, format!("The fragment {name} contains itself."))
    })?;
    let page_sizes = variables::page_sizes(&document);
    Ok(Parsed { document, extent, page_sizes, fits: AtomicBool::new(false) })
}

/// Checks that a text is GraphQL within the limits of every operation in it. Whether it fits the schema depends on who asks.
///
/// # Errors
/// Those that sending it would have.
pub(crate) fn check(text: &str) -> Result<(), ServerError> {
    let parsed = read(text)?;
    parsed.document.operations.iter().try_for_each(|(_, operation)| check_extent(&parsed, &operation.node))
}

fn refuse(code: DoorCode, message: impl Into<String>) -> ServerError {
    Error::door(code, message).into_server_error()
}

fn not_graphql(error: async_graphql::parser::Error) -> ServerError {
    let error = ServerError::from(error);
    let mut refused = refuse(DoorCode::ParseFailed, error.message);
    refused.locations = error.locations;
    refused
}

/// The operation that is asked for.
///
/// # Errors
/// When that is unclear.
pub(super) fn choose<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, ServerError> {
    let unclear = |message: String| refuse(DoorCode::OperationResolutionFailure, message);
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(&operation.node),
        (DocumentOperations::Multiple(operations), Some(name)) => operations
            .get(name)
            .map(|operation| &operation.node)
            .ok_or_else(|| unclear(format!("The document has no operation named {name}."))),
        (DocumentOperations::Single(_), Some(name)) => {
            Err(unclear(format!("The document has no operation named {name}.")))
        }
        (DocumentOperations::Multiple(operations), None) => match operations.values().next() {
            Some(operation) if operations.len() == 1 => Ok(&operation.node),
            _ => Err(unclear("The document has several operations: say which with operationName.".to_owned())),
        },
    }
}

fn check_extent(parsed: &Parsed, operation: &OperationDefinition) -> Result<(), ServerError> {
    let extent = parsed.extent;
    if extent.selections > MAX_SELECTIONS {
        return Err(too_many_selections(MAX_SELECTIONS));
    }
    let is_introspection =
        operation.ty == OperationType::Query && only_introspects(&operation.selection_set.node, &parsed.document);
    let (max_depth, max_selections) = if is_introspection {
        (MAX_INTROSPECTION_DEPTH, MAX_INTROSPECTION_SELECTIONS)
    } else {
        (MAX_DEPTH, MAX_SELECTIONS)
    };
    if extent.selections > max_selections {
        return Err(too_many_selections(max_selections));
    }
    if extent.depth > max_depth {
        return Err(refuse(DoorCode::QueryTooDeep, format!("The document nests fields more than {max_depth} deep.")));
    }
    if extent.aliases > MAX_ALIASES {
        return Err(refuse(DoorCode::TooManyAliases, format!("The document uses more than {MAX_ALIASES} aliases.")));
    }
    if extent.introspection_lists > MAX_INTROSPECTION_LISTS {
        let text = format!("Introspection may nest lists of fields and types at most {MAX_INTROSPECTION_LISTS} deep.");
        return Err(refuse(DoorCode::QueryTooDeep, text));
    }
    Ok(())
}

fn too_many_selections(limit: u64) -> ServerError {
    let text = format!("The document has more than {limit} selections, fragments expanded.");
    refuse(DoorCode::QueryTooLarge, text)
}

/// Whether all root fields are about the schema. Runs on measured documents only, so fragments end.
fn only_introspects(set: &SelectionSet, document: &ExecutableDocument) -> bool {
    set.items.iter().all(|selection| match &selection.node {
        Selection::Field(field) => field.node.name.node.starts_with("__"),
        Selection::InlineFragment(fragment) => only_introspects(&fragment.node.selection_set.node, document),
        Selection::FragmentSpread(spread) => document
            .fragments
            .get(&spread.node.fragment_name.node)
            .is_some_and(|fragment| only_introspects(&fragment.node.selection_set.node, document)),
    })
}

/// The document with the root of its chosen operation collected (see [`roots`]), within the limits for root fields.
fn collect_roots(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    request: &Request,
) -> Result<ExecutableDocument, ServerError> {
    let is_mutation = operation.ty == OperationType::Mutation;
    let mut collected = document.clone();
    if roots::needs_flattening(operation) {
        let root_type = if is_mutation { MUTATION } else { SUBSCRIPTION };
        let flat = roots::flatten(operation, document, root_type, &request.variables);
        let before = roots::used_fragments(document);
        if let Some(operation) = chosen_mut(&mut collected, request.operation_name.as_deref()) {
            operation.selection_set.node = flat;
        }
        // A fragment that was used only here is not "unused": it has been put in its place.
        let after = roots::used_fragments(&collected);
        collected.fragments.retain(|name, _| !before.contains(name) || after.contains(name));
    }
    let fields = choose(&collected, request.operation_name.as_deref())?.selection_set.node.items.len();
    if is_mutation && fields > MAX_ROOT_MUTATIONS {
        let text = format!("One operation may run at most {MAX_ROOT_MUTATIONS} mutations.");
        return Err(refuse(DoorCode::TooManyRootFields, text));
    }
    if !is_mutation && fields != 1 {
        return Err(refuse(DoorCode::ValidationFailed, "A subscription selects exactly one root field."));
    }
    Ok(collected)
}

fn chosen_mut<'a>(document: &'a mut ExecutableDocument, name: Option<&str>) -> Option<&'a mut OperationDefinition> {
    match (&mut document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(&mut operation.node),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get_mut(name).map(|found| &mut found.node),
        (DocumentOperations::Multiple(operations), None) => operations.values_mut().next().map(|found| &mut found.node),
    }
}

#[cfg(test)]
mod tests;
