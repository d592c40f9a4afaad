//! Structs with named fields: each field becomes a resolver that lends it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Fields, ItemImpl, ItemStruct, parse_quote, spanned::Spanned};

use crate::{expand::take, method};

/// The struct without our attributes, and an `impl` block with one resolver per field for `guarded` to expand.
pub(crate) fn split(mut item: ItemStruct) -> syn::Result<(ItemStruct, ItemImpl)> {
    let span = item.span();
    let Fields::Named(fields) = &mut item.fields else {
        return Err(syn::Error::new(span, "`guarded` needs a struct with named fields"));
    };
    let mut resolvers: Vec<TokenStream> = Vec::new();
    for field in &mut fields.named {
        let docs: Vec<_> = field.attrs.iter().filter(|attribute| method::is_doc(attribute)).cloned().collect();
        let access = take(&mut field.attrs, "access")?.into_iter().map(|(_, tokens)| quote!(#[access(#tokens)]));
        let graphql = take(&mut field.attrs, "graphql")?.into_iter().map(|(_, tokens)| quote!(#[graphql(#tokens)]));
        let (name, ty) = (&field.ident, &field.ty);
        let (ty, value) = match method::inner_of(ty, "Option") {
            Some(inner) => (quote!(::std::option::Option<&#inner>), quote!(self.#name.as_ref())),
            None => (quote!(&#ty), quote!(&self.#name)),
        };
        resolvers.push(quote! {
            #(#docs)* #(#access)* #(#graphql)*
            fn #name(&self) -> #ty { #value }
        });
    }
    let (name, docs) = (&item.ident, item.attrs.iter().filter(|attribute| method::is_doc(attribute)));
    let (impl_generics, type_generics, where_clause) = item.generics.split_for_impl();
    let block = parse_quote! {
        #(#docs)*
        impl #impl_generics #name #type_generics #where_clause { #(#resolvers)* }
    };
    Ok((item, block))
}
