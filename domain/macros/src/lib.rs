//! The attribute [`macro@boxed`], for async functions whose future is to be a pointer.

use std::mem;

use proc_macro::TokenStream;
use proc_macro2::Span;
use quote::{format_ident, quote};
use syn::{
    Error, GenericParam, ItemFn, Lifetime, LifetimeParam, ParenthesizedGenericArguments, Receiver, ReturnType,
    TypeBareFn, TypeReference, parse_macro_input, parse_quote,
    visit_mut::{self, VisitMut},
};

/// Makes the future of an async function a pointer, as that of a trait's method is: `Pin<Box<dyn Future<Output = …> + Send + '_>>`.
/// Its body is compiled once, where it stands, and only there has it to be proven that it may move between threads.
///
/// All lifetimes of the function become one, as long as the shortest of them. The attributes that are widely used for this
/// (`async_trait`, `async_recursion`) write a bound for each lifetime in its place. Within such bounds the compiler proves all of the
/// above anew for each function, since it remembers what it has proven by the bounds it was proven under: so `postern-domain` took
/// twice as long to check.
#[proc_macro_attribute]
pub fn boxed(_: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    expand(function).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(mut function: ItemFn) -> Result<proc_macro2::TokenStream, Error> {
    let signature = &mut function.sig;
    if signature.asyncness.take().is_none() {
        return Err(Error::new_spanned(signature.fn_token, "only the future of an async function can be boxed"));
    }
    let mut one = OneLifetime { lifetime: Lifetime::new("'boxed", Span::mixed_site()), named: Vec::new() };
    let (named, mut others): (Vec<_>, Vec<_>) = mem::take(&mut signature.generics.params)
        .into_iter()
        .partition(|parameter| matches!(parameter, GenericParam::Lifetime(_)));
    for parameter in named {
        if let GenericParam::Lifetime(LifetimeParam { lifetime, .. }) = parameter {
            one.named.push(lifetime);
        }
    }
    for input in &mut signature.inputs {
        one.visit_fn_arg_mut(input);
    }
    let lifetime = one.lifetime.clone();
    for parameter in &mut others {
        if let GenericParam::Type(parameter) = parameter {
            parameter.bounds.push(parse_quote!(#lifetime));
        }
    }
    signature.generics.params.push(parse_quote!(#lifetime));
    signature.generics.params.extend(others);
    let mut output = match mem::replace(&mut signature.output, ReturnType::Default) {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, output) => *output,
    };
    one.visit_type_mut(&mut output);
    signature.output = parse_quote! {
        -> ::std::pin::Pin<::std::boxed::Box<dyn ::std::future::Future<Output = #output> + ::std::marker::Send + #lifetime>>
    };
    let body = &function.block;
    function.block = parse_quote!({ ::std::boxed::Box::pin(async move #body) });
    Ok(quote!(#function))
}

/// Puts one lifetime in the place of all that are left out, `'_`, or the function's own.
struct OneLifetime {
    lifetime: Lifetime,
    named: Vec<Lifetime>,
}

impl VisitMut for OneLifetime {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == format_ident!("_") || self.named.contains(lifetime) {
            *lifetime = self.lifetime.clone();
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime.get_or_insert_with(|| self.lifetime.clone());
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_receiver_mut(&mut self, receiver: &mut Receiver) {
        if let Some((_, lifetime)) = &mut receiver.reference {
            lifetime.get_or_insert_with(|| self.lifetime.clone());
        }
        visit_mut::visit_receiver_mut(self, receiver);
    }

    // What a function is called with has lifetimes of its own.
    fn visit_type_bare_fn_mut(&mut self, _: &mut TypeBareFn) {}
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(function: &str) -> String {
        let function = syn::parse_str(function).unwrap();
        expand(function).map_or_else(|error| error.to_string(), |tokens| tokens.to_string()).replace(' ', "")
    }

    #[test]
    fn all_lifetimes_are_one() {
        let code =
            expanded("async fn f<'a>(&self, a: &'a A, b: B<'_>, c: &'static str) -> Result<&C> { g(a, b, c).await }");
        let parameters = "fnf<'boxed>(&'boxedself,a:&'boxedA,b:B<'boxed>,c:&'staticstr)";
        assert!(code.starts_with(parameters), "{code}");
        assert!(code.contains("Future<Output=Result<&'boxedC>>+::std::marker::Send+'boxed>>"), "{code}");
        assert!(code.ends_with("{::std::boxed::Box::pin(asyncmove{g(a,b,c).await})}"), "{code}");
    }

    #[test]
    fn what_is_called_keeps_its_own_lifetimes_and_types_outlive_the_future() {
        let code = expanded("async fn f<T: Job>(t: T, call: &dyn Fn(&A) -> B, pointer: fn(&A)) {}");
        assert!(code.contains("call:&'boxeddynFn(&A)->B,pointer:fn(&A))"), "{code}");
        assert!(code.contains("fnf<'boxed,T:Job+'boxed>"), "{code}");
        assert!(code.contains("Output=()>"), "{code}");
    }

    #[test]
    fn only_async_functions_have_a_future() {
        assert_eq!(expanded("fn f() {}"), "onlythefutureofanasyncfunctioncanbeboxed");
    }
}
