//! The attribute's arguments, and the `impl` block it writes.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Expr, Ident, ImplItem, Item, ItemImpl, Meta, Token,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

use crate::{
    method::{self, Method},
    record,
    rule::Rule,
};

/// What sort of type the attribute stands on.
pub(crate) enum Place {
    /// An object type with its own rule.
    Object(Rule),
    /// A part of the query or mutation type.
    Root,
    /// A part of the subscription type.
    Subscription,
}

/// The arguments of `#[guarded(…)]`.
pub(crate) struct Arguments {
    pub(crate) place: Place,
    pub(crate) owner: Option<Expr>,
    pub(crate) team: Option<Expr>,
    /// For async-graphql's own macro.
    pub(crate) passed_on: TokenStream,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let word = input.fork().parse::<Ident>().map(|word| word.to_string()).unwrap_or_default();
        let place = match word.as_str() {
            "root" => input.parse::<Ident>().map(|_| Place::Root)?,
            "subscription" => input.parse::<Ident>().map(|_| Place::Subscription)?,
            _ => Place::Object(input.parse()?),
        };
        let mut arguments = Self { place, owner: None, team: None, passed_on: TokenStream::new() };
        while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let name: Ident = input.parse()?;
            match name.to_string().as_str() {
                "owner" => {
                    input.parse::<Token![=]>()?;
                    arguments.owner = Some(input.parse()?);
                }
                "team" => {
                    input.parse::<Token![=]>()?;
                    arguments.team = Some(input.parse()?);
                }
                "graphql" => {
                    let inner;
                    syn::parenthesized!(inner in input);
                    arguments.passed_on = inner.parse()?;
                }
                _ => return Err(syn::Error::new(name.span(), "expected `owner = …`, `team = …` or `graphql(…)`")),
            }
        }
        if input.is_empty() { Ok(arguments) } else { Err(input.error("expected a comma")) }
    }
}

pub(crate) fn guarded(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    match syn::parse2(item)? {
        Item::Impl(block) => expand_impl(&arguments, block),
        Item::Struct(item) => {
            let (item, block) = record::split(item)?;
            let block = expand_impl(&arguments, block)?;
            Ok(quote!(#item #block))
        }
        other => {
            Err(syn::Error::new(other.span(), "`guarded` stands on an `impl` block or a struct with named fields"))
        }
    }
}

/// The block turns into two: the resolvers as they were written, under other names, and the guarded methods that
/// async-graphql makes fields of.
fn expand_impl(arguments: &Arguments, mut block: ItemImpl) -> syn::Result<TokenStream> {
    let mut resolvers = Vec::new();
    let mut fields = Vec::new();
    let mut errors: Option<syn::Error> = None;
    for item in std::mem::take(&mut block.items) {
        let ImplItem::Fn(function) = item else {
            resolvers.push(quote!(#item));
            continue;
        };
        match Method::read(arguments, function) {
            Ok(method) => {
                resolvers.push(method.resolver());
                fields.push(method.field(arguments));
            }
            // All violations at once: the compiler shows each at its field.
            Err(error) => match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            },
        }
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    let ItemImpl { generics, self_ty, attrs, .. } = &block;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (docs, others): (Vec<_>, Vec<_>) = attrs.iter().partition(|attribute| method::is_doc(attribute));
    let macro_attribute = object_attribute(arguments);
    let body = quote_spanned! {self_ty.span()=>
        #macro_attribute
        #(#docs)*
        #(#others)*
        impl #impl_generics #self_ty #where_clause { #(#fields)* }
    };
    Ok(quote! {
        impl #impl_generics #self_ty #where_clause { #(#resolvers)* }
        #body
    })
}

fn object_attribute(arguments: &Arguments) -> TokenStream {
    let passed_on = &arguments.passed_on;
    match &arguments.place {
        Place::Object(rule) => {
            let (visible, directive) = (rule.visible(), rule.directive());
            let passed_on = if passed_on.is_empty() { quote!() } else { quote!(#passed_on,) };
            quote!(#[::async_graphql::Object(#passed_on #visible, #directive)])
        }
        Place::Root => quote!(#[::async_graphql::Object(#passed_on)]),
        Place::Subscription => quote!(#[::async_graphql::Subscription(#passed_on)]),
    }
}

/// Takes the tokens inside `#[name(…)]` attributes out of `attributes`.
pub(crate) fn take(attributes: &mut Vec<Attribute>, name: &str) -> syn::Result<Vec<(proc_macro2::Span, TokenStream)>> {
    let mut taken = Vec::new();
    let mut kept = Vec::new();
    for attribute in attributes.drain(..) {
        if attribute.path().is_ident(name) {
            let Meta::List(list) = &attribute.meta else {
                return Err(syn::Error::new(attribute.span(), format!("write `#[{name}(…)]`")));
            };
            taken.push((attribute.span(), list.tokens.clone()));
        } else {
            kept.push(attribute);
        }
    }
    *attributes = kept;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(arguments: &str, item: &str) -> Result<String, String> {
        guarded(arguments.parse().unwrap(), item.parse().unwrap())
            .map(|tokens| tokens.to_string())
            .map_err(|error| error.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join(" | "))
    }

    const OWNED: &str = "CLIENT, self, owner = self.id";

    #[test]
    fn a_field_without_a_rule_does_not_compile() {
        let error = expand(OWNED, "impl U { /// Name.\n fn name(&self) -> Option<&str> { None } }").unwrap_err();
        assert_eq!(
            error,
            "field `name` needs a rule: `#[access(CLIENT | SERVER | ADMIN[, self][, permission = \"…\"][, keys = USER | ANY])]`"
        );
    }

    #[test]
    fn every_violation_is_told_at_once() {
        let error =
            expand(OWNED, "impl U { fn a(&self) -> Option<i32> { None } #[access(CLIENT)] fn b(&self) -> i32 { 1 } }")
                .unwrap_err();
        assert!(error.contains("field `a` needs a rule") && error.contains("field `b` needs a description"), "{error}");
    }

    #[test]
    fn a_field_narrower_than_its_type_must_be_nullable() {
        let item = "impl U { /// Data.\n #[access(SERVER)] async fn secret(&self) -> Result<i32> { Ok(1) } }";
        assert!(expand(OWNED, item).unwrap_err().contains("must be nullable"));
        assert!(expand("SERVER", item).is_ok());
    }

    #[test]
    fn every_field_of_a_root_type_must_be_nullable() {
        let item = "impl Q { /// Me.\n #[access(CLIENT)] async fn me(&self) -> User { User } }";
        assert!(expand("root", item).unwrap_err().contains("must be nullable"));
    }

    #[test]
    fn a_rule_with_self_needs_an_owner() {
        let item = "impl U { /// Name.\n #[access(CLIENT, self)] fn name(&self) -> Option<&str> { None } }";
        assert!(expand("CLIENT", item).unwrap_err().contains("`owner = …`"));
        assert!(expand("root", item).is_ok(), "on a root type the caller is the owner");
    }

    #[test]
    fn one_statement_makes_guard_directive_and_visibility() {
        let code = expand(
            OWNED,
            "impl U { /// Name.\n #[access(SERVER)] #[graphql(complexity = 3)] fn name(&self) -> Option<&str> { None } }",
        )
        .unwrap();
        for part in [
            "complexity = 3 , visible = \"crate::graphql::guard::visible_to_servers\"",
            "directive = crate :: graphql :: guard :: access :: apply (crate :: graphql :: guard :: AccessLevel :: Server",
            "crate :: graphql :: guard :: check (__ctx",
            "visible = \"crate::graphql::guard::visible_to_clients\"",
        ] {
            assert!(code.contains(part), "{part}\n{code}");
        }
    }

    #[test]
    fn a_root_field_is_shown_to_whom_its_rule_names() {
        for (rule, shown) in [
            ("CLIENT, self", "visible_to_users_without_key"),
            ("CLIENT, self, keys = USER", "visible_to_users"),
            ("CLIENT, self, keys = ANY", "visible_to_users_and_keys"),
            ("CLIENT", "visible_to_clients_without_key"),
            ("CLIENT, keys = USER", "visible_to_clients_and_user_keys"),
            ("CLIENT, keys = ANY", "visible_to_clients"),
            ("SERVER", "visible_to_servers"),
        ] {
            let item = format!("impl Q {{ /// Me.\n #[access({rule})] fn me(&self) -> Option<User> {{ None }} }}");
            let code = expand("root", &item).unwrap();
            assert!(code.contains(&format!("\"crate::graphql::guard::{shown}\"")), "{rule}: {code}");
        }
    }

    #[test]
    fn keys_stand_on_root_fields_only() {
        let item = "impl U { /// Name.\n #[access(CLIENT, self, keys = ANY)] fn name(&self) -> Option<&str> { None } }";
        assert!(expand(OWNED, item).unwrap_err().contains("root types"));
        assert!(expand("root", item).is_ok());
    }

    #[test]
    fn structs_get_one_guarded_field_each() {
        let code = expand(
            "CLIENT",
            "/// An answer.\n pub struct P { /// The user.\n #[access(CLIENT)] pub user: User, \
             /// A note.\n #[access(CLIENT)] note: Option<String> }",
        )
        .unwrap();
        assert!(code.contains("pub struct P"), "{code}");
        assert!(code.contains("fn user (& self , __ctx"), "{code}");
        assert!(code.contains("Option < & String >"), "{code}");
        assert!(!code.contains("# [access"), "{code}");
    }

    #[test]
    fn unknown_arguments_are_refused() {
        assert!(expand("CLIENT, owns = 1", "impl U {}").unwrap_err().contains("expected `owner"));
        assert!(expand("CLIENT", "enum U {}").unwrap_err().contains("stands on an `impl` block"));
    }
}
