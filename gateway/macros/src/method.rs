//! One resolver: read, checked, and written out as a resolver under another name and a guarded field that calls it.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Attribute, FnArg, GenericArgument, Ident, ImplItemFn, Pat, PatType, PathArguments, ReturnType, Type, parse_quote,
    spanned::Spanned,
};

use crate::{
    expand::{Arguments, Place, take},
    rule::{Keys, Rule},
};

/// A resolver with its rule.
pub(crate) struct Method {
    rule: Rule,
    function: ImplItemFn,
    docs: Vec<Attribute>,
    /// For async-graphql's own macro.
    passed_on: Vec<TokenStream>,
    /// What the parameter of type `Context` is called in the guarded method.
    context: Ident,
    /// Whether the resolver itself wants the context.
    wants_context: bool,
    output: Output,
}

/// The type a resolver answers.
struct Output {
    /// Without `Result`.
    value: Type,
    fallible: bool,
    nullable: bool,
}

impl Method {
    pub(crate) fn read(arguments: &Arguments, mut function: ImplItemFn) -> syn::Result<Self> {
        let name = function.sig.ident.clone();
        let mut access = take(&mut function.attrs, "access")?;
        let passed_on = take(&mut function.attrs, "graphql")?.into_iter().map(|(_, tokens)| tokens).collect();
        let Some((span, tokens)) = access.pop() else {
            let text = format!(
                "field `{name}` needs a rule: `#[access(CLIENT | SERVER | ADMIN[, self][, permission = \"…\"][, keys = USER | ANY])]`"
            );
            return Err(syn::Error::new(name.span(), text));
        };
        if !access.is_empty() {
            return Err(syn::Error::new(span, format!("field `{name}` has two rules")));
        }
        let rule: Rule = syn::parse2(tokens)?;
        let docs: Vec<_> = function.attrs.iter().filter(|attribute| is_doc(attribute)).cloned().collect();
        if docs.is_empty() {
            return Err(syn::Error::new(
                name.span(),
                format!("field `{name}` needs a description: it goes into the schema"),
            ));
        }
        let output = Output::read(&function)?;
        check_rule(arguments, &rule, &output, &name)?;
        let (context, wants_context) = context_parameter(&mut function)?;
        Ok(Self { rule, function, docs, passed_on, context, wants_context, output })
    }

    fn resolver_name(&self) -> Ident {
        format_ident!("__resolve_{}", self.function.sig.ident)
    }

    /// The resolver as it was written, under a name that no field has.
    pub(crate) fn resolver(&self) -> TokenStream {
        let mut function = self.function.clone();
        function.sig.ident = self.resolver_name();
        function.vis = syn::Visibility::Inherited;
        function.attrs.retain(|attribute| !is_doc(attribute));
        for input in &mut function.sig.inputs {
            if let FnArg::Typed(input) = input {
                input.attrs.retain(|attribute| !attribute.path().is_ident("graphql"));
            }
        }
        // On the heap: every operation has room for the largest field of its root, and a sign-up needs a lot. And what happens in it
        // has to be proven once to be able to move between threads, not once more by whoever awaits it.
        let boxed = function.sig.asyncness.map(|_| quote!(#[::postern_domain::boxed]));
        quote!(#boxed #function)
    }

    /// The method that async-graphql makes a field of.
    pub(crate) fn field(&self, arguments: &Arguments) -> TokenStream {
        let (name, resolver, context) = (&self.function.sig.ident, self.resolver_name(), &self.context);
        let (docs, passed_on) = (&self.docs, &self.passed_on);
        // The field has the parameters of its resolver: what is expected of the one holds for the other.
        let expected = self.function.attrs.iter().filter(|attribute| attribute.path().is_ident("expect"));
        let directive = self.rule.directive();
        let visible = match arguments.place {
            Place::Object(_) => self.rule.visible(),
            Place::Root | Place::Subscription => self.rule.visible_at_root(),
        };
        let inputs = self.field_inputs();
        let (visibility, asyncness) = (&self.function.vis, &self.function.sig.asyncness);
        let value = &self.output.value;
        let refused = self.refused();
        let check = self.check(arguments);
        let call = self.call(&resolver);
        let answer = match (self.output.fallible, self.output.nullable) {
            (false, _) => quote!(::std::result::Result::Ok(#call)),
            (true, true) => quote!(crate::graphql::guard::or_null(#context, #call)),
            (true, false) => quote!(#call.map_err(::std::convert::Into::<::async_graphql::Error>::into)),
        };
        let return_type = if matches!(arguments.place, Place::Subscription) {
            let output = &self.function.sig.output;
            quote!(#output)
        } else {
            quote!(-> ::async_graphql::Result<#value>)
        };
        let answer = if matches!(arguments.place, Place::Subscription) { call } else { answer };
        quote_spanned! {self.function.sig.span()=>
            #(#docs)*
            #(#expected)*
            #[graphql(#(#passed_on,)* #visible, #directive)]
            #visibility #asyncness fn #name(#(#inputs),*) #return_type {
                if let ::std::result::Result::Err(refusal) = #check {
                    return #refused;
                }
                #answer
            }
        }
    }

    /// What a refusal answers: null and an error where the field is nullable, else the error alone.
    fn refused(&self) -> TokenStream {
        let context = &self.context;
        if self.output.nullable {
            quote!(crate::graphql::guard::refused(#context, refusal))
        } else {
            quote!(::std::result::Result::Err(::std::convert::Into::into(refusal)))
        }
    }

    fn check(&self, arguments: &Arguments) -> TokenStream {
        let (context, rule) = (&self.context, self.rule.expression());
        let owner = match (&arguments.place, &arguments.owner) {
            (Place::Root | Place::Subscription, _) => quote!(crate::graphql::guard::Owner::Caller),
            (Place::Object(_), Some(owner)) => quote!(crate::graphql::guard::Owner::from(#owner)),
            (Place::Object(_), None) => quote!(crate::graphql::guard::Owner::Nobody),
        };
        if self.rule.permission.is_some() {
            let team = match &arguments.team {
                Some(team) => quote!(::std::convert::Into::into(#team)),
                None => quote!(::std::option::Option::None),
            };
            quote!(crate::graphql::guard::check_permission(#context, &#rule, #owner, #team).await)
        } else {
            quote!(crate::graphql::guard::check(#context, &#rule, #owner))
        }
    }

    fn call(&self, resolver: &Ident) -> TokenStream {
        let context = self.wants_context.then_some(&self.context).into_iter();
        let others = self.function.sig.inputs.iter().skip(1 + usize::from(self.wants_context)).filter_map(|input| {
            if let FnArg::Typed(PatType { pat, .. }) = input { Some(argument_name(pat)) } else { None }
        });
        let arguments = context.map(|context| quote!(#context)).chain(others);
        let call = quote!(self.#resolver(#(#arguments),*));
        if self.function.sig.asyncness.is_some() { quote!(#call.await) } else { call }
    }

    /// The parameters, with a context put in where the resolver has none. The visible ones keep their attributes.
    fn field_inputs(&self) -> Vec<FnArg> {
        let mut inputs: Vec<FnArg> = self.function.sig.inputs.iter().cloned().collect();
        if !self.wants_context {
            let context = &self.context;
            inputs.insert(1.min(inputs.len()), parse_quote!(#context: &::async_graphql::Context<'_>));
        }
        inputs
    }
}

impl Output {
    fn read(function: &ImplItemFn) -> syn::Result<Self> {
        let ReturnType::Type(_, ty) = &function.sig.output else {
            let name = &function.sig.ident;
            return Err(syn::Error::new(name.span(), format!("field `{name}` needs a return type")));
        };
        let result = inner_of(ty, "Result");
        let value = result.unwrap_or(ty).clone();
        let nullable = inner_of(&value, "Option").is_some();
        Ok(Self { fallible: result.is_some(), nullable, value })
    }
}

fn check_rule(arguments: &Arguments, rule: &Rule, output: &Output, name: &Ident) -> syn::Result<()> {
    let must_be_nullable = match &arguments.place {
        Place::Object(of_type) => rule.is_narrower_than(of_type),
        Place::Root => true,
        Place::Subscription => false,
    };
    if must_be_nullable && !output.nullable {
        let text = format!(
            "field `{name}` is narrower than its type, so it must be nullable: answer `Option<…>` or `Result<Option<…>>`"
        );
        return Err(syn::Error::new(name.span(), text));
    }
    if rule.keys > Keys::None && matches!(arguments.place, Place::Object(_)) {
        let text =
            format!("`keys` stands on fields of root types; whose key may read field `{name}` follows from there");
        return Err(syn::Error::new(name.span(), text));
    }
    if rule.needs_owner() && matches!(arguments.place, Place::Object(_)) && arguments.owner.is_none() {
        let text =
            format!("the rule of field `{name}` says `self`: tell whose object it is with `owner = …` on `guarded`");
        return Err(syn::Error::new(name.span(), text));
    }
    Ok(())
}

/// The name of the context parameter, which is made usable when it was written as `_`.
fn context_parameter(function: &mut ImplItemFn) -> syn::Result<(Ident, bool)> {
    if !matches!(function.sig.inputs.first(), Some(FnArg::Receiver(_))) {
        return Err(syn::Error::new(function.sig.ident.span(), "a resolver takes `&self` first"));
    }
    let invented = Ident::new("__ctx", Span::call_site());
    match function.sig.inputs.iter_mut().nth(1) {
        Some(FnArg::Typed(PatType { pat, ty, .. })) if is_context(ty) => {
            if let Pat::Ident(pat) = &**pat {
                return Ok((pat.ident.clone(), true));
            }
            **pat = parse_quote!(#invented);
            Ok((invented, true))
        }
        _ => Ok((invented, false)),
    }
}

fn argument_name(pat: &Pat) -> TokenStream {
    match pat {
        Pat::Ident(pat) => {
            let name = &pat.ident;
            quote!(#name)
        }
        other => quote_spanned!(other.span()=> ::std::compile_error!("an argument of a field is a plain name")),
    }
}

fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "Context")
}

/// Whether the attribute is a doc comment.
pub(crate) fn is_doc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

/// The first type argument of `wrapper<…>`, when `ty` is one.
pub(crate) fn inner_of<'a>(ty: &'a Type, wrapper: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    if segment.ident != wrapper {
        return None;
    }
    arguments.args.iter().find_map(|argument| if let GenericArgument::Type(ty) = argument { Some(ty) } else { None })
}
