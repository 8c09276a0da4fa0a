//! The subject of a certificate as one short line, for logs (RFC 5280, 4.1.2.4; RFC 4514).
//!
//! It was written by whoever issued the certificate, and is looked at before anybody knows who that is:
//! nothing of it is trusted, what does not read as a name is left out, and nothing in it can break a line.

/// Characters at most.
const LONGEST: usize = 128;

/// Types of DER values (X.690) that hold a text.
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const TELETEX: u8 = 0x14;
const IA5: u8 = 0x16;
const BMP: u8 = 0x1e;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;

/// Attributes that are told, by their object identifiers.
const ATTRIBUTES: [(&[u8], &str); 8] = [
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "emailAddress"),
];

/// A name as DER without its outermost header, the last part first, as people write it: `CN=…, O=…`.
/// Empty when it has no part that can be told.
#[must_use]
pub fn of_name(name: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some((SET, set, after)) = value(rest) {
        rest = after;
        let mut set = set;
        while let Some((SEQUENCE, attribute, after)) = value(set) {
            set = after;
            parts.extend(told(attribute));
        }
    }
    parts.reverse();
    bounded(&parts.join(", "))
}

/// A name of another kind, which has no attributes.
pub(super) fn of_text(text: &str) -> String {
    bounded(&escaped(text))
}

/// `CN=…` of an attribute; `None` when it is none that is told.
fn told(attribute: &[u8]) -> Option<String> {
    let (OID, identifier, rest) = value(attribute)? else { return None };
    let (_, name) = ATTRIBUTES.iter().find(|(known, _)| *known == identifier)?;
    let (tag, bytes, _) = value(rest)?;
    let text = text(tag, bytes)?;
    Some(format!("{name}={}", escaped(&text)))
}

fn text(tag: u8, bytes: &[u8]) -> Option<String> {
    match tag {
        UTF8 | PRINTABLE | IA5 => String::from_utf8(bytes.to_vec()).ok(),
        // Latin-1, as it is used.
        TELETEX => Some(bytes.iter().copied().map(char::from).collect()),
        BMP => {
            let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
            let units = units.map(u16::from_be_bytes).collect::<Vec<_>>();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// Nothing that ends a line, moves a cursor, turns the writing direction or looks like another attribute.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            ',' | '=' | '\\' => out.extend(['\\', character]),
            other => out.extend(other.escape_debug()),
        }
        if out.len() > 4 * LONGEST {
            break;
        }
    }
    out
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
    }
}

/// The first value of DER: its type, its bytes, and what comes behind it.
fn value(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(length)?;
    Some((*tag, bytes, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    fn subject(attributes: &[(DnType, DnValue)]) -> String {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in attributes {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let parsed = webpki::EndEntityCert::try_from(certificate.der()).unwrap();
        of_name(parsed.subject())
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.into())
    }

    #[test]
    fn a_name_is_told_as_people_write_it() {
        let name = [
            (DnType::CountryName, DnValue::PrintableString("AT".try_into().unwrap())),
            (DnType::LocalityName, utf8("left out")),
            (DnType::OrganizationName, utf8("Acme")),
            (DnType::CommonName, utf8("läptop")),
        ];
        assert_eq!(subject(&name), "CN=läptop, O=Acme, C=AT");
        let wide = DnValue::BmpString("desk".try_into().unwrap());
        assert_eq!(subject(&[(DnType::CommonName, wide)]), "CN=desk");
        assert_eq!(subject(&[]), "");
    }

    #[test]
    fn nothing_in_a_name_breaks_a_line_or_looks_like_another_part() {
        let evil = "a\n2030 INFO\u{1b}[2J\u{202e}x, O=root";
        let told = subject(&[(DnType::CommonName, utf8(evil))]);
        assert_eq!(told, r"CN=a\n2030 INFO\u{1b}[2J\u{202e}x\, O\=root");
    }

    #[test]
    fn a_long_name_is_cut() {
        let long = subject(&[(DnType::CommonName, utf8(&"ä".repeat(10_000)))]);
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.starts_with("CN=ää") && long.ends_with('…'));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_write_more_than_a_line(bytes: Vec<u8>) {
            let told = of_name(&bytes);
            prop_assert!(told.chars().count() <= LONGEST + 1);
            prop_assert!(!told.contains(char::is_control));
        }

        #[test]
        fn nor_do_the_values_of_an_attribute(tag: u8, text in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut attribute = vec![0x06, 0x03, 0x55, 0x04, 0x03, tag, text.len() as u8];
            attribute.extend(&text);
            let mut name = vec![SET, attribute.len() as u8 + 2, SEQUENCE, attribute.len() as u8];
            name.extend(attribute);
            let told = of_name(&name);
            prop_assert!(told.chars().count() <= LONGEST + 1);
            prop_assert!(!told.contains(char::is_control));
        }
    }
}
