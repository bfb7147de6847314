import { createHash, KeyObject, webcrypto, X509Certificate as NodeCertificate } from "node:crypto";
import { isIP } from "node:net";
import type * as X509 from "@peculiar/x509";
import { id } from "../protocol/primitives.ts";
import { MqttError } from "./errors.ts";

/**
 * Certificates for mutual TLS under a software authority of the coordinator: the broker and its TLS are
 * not in the trust base. They are valid because the site record names them and end when it stops, not by
 * a clock: a Pi that wakes in 1970 must still connect (design §4).
 */
const notBefore = new Date("1970-01-01T00:00:00Z");
const notAfter = new Date("9999-12-31T23:59:59Z");
const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** Loaded with the first certificate that is made: a client that makes none starts in half the time. */
async function certificates(): Promise<typeof X509> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
  return x509;
}

export interface TlsKeyPair {
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  /** SPKI PEM. */
  readonly publicKey: string;
}

export interface TlsAuthority {
  /** PEM of the authority's certificate. */
  readonly certificate: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
}

function pemOf({ privateKey, publicKey }: webcrypto.CryptoKeyPair): TlsKeyPair {
  return {
    privateKey: KeyObject.from(privateKey).export({ format: "pem", type: "pkcs8" }).toString(),
    publicKey: KeyObject.from(publicKey).export({ format: "pem", type: "spki" }).toString(),
  };
}

function generate(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);
}

/** A fresh P-256 key pair for TLS. */
export async function createTlsKeys(): Promise<TlsKeyPair> {
  return pemOf(await generate());
}

/** 126 random bits, positive and of constant length (RFC 5280 §4.1.2.2). */
function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

/** A name becomes part of a distinguished name, where `,` and `=` mean something. */
function checkedName(name: string): string {
  if (!id.safeParse(name).success) throw new MqttError("NAME_INVALID", `${name} cannot be a certificate's name`, { remedy: "ids are 1 to 32 of a-z, 0-9 and -" });
  return name;
}

/** A new authority for `site`. Rejects with NAME_INVALID. */
export async function createTlsAuthority(site: string): Promise<TlsAuthority> {
  const subject = `CN=${checkedName(site)} TLS authority`;
  const [x509, keys] = [await certificates(), await generate()];
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: subject, serialNumber: serial(), notBefore, notAfter, keys, signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString("pem"), privateKey: pemOf(keys).privateKey };
}

/** The P-256 key of an SPKI PEM that came with a request. */
async function publicKeyOf({ PemConverter }: typeof X509, pem: string): Promise<webcrypto.CryptoKey> {
  try {
    return await webcrypto.subtle.importKey("spki", PemConverter.decodeFirst(pem), ecdsa, true, ["verify"]);
  } catch (cause) {
    throw new MqttError("TLS_INVALID", "that is no P-256 public key in PEM", { cause, remedy: "make the request again with `shardkeep box request`" });
  }
}

/**
 * PEM of a certificate for `cn` over an SPKI PEM public key. With `hosts`, a broker's names and
 * addresses, it is for a server, else for a client. Rejects with NAME_INVALID or TLS_INVALID.
 */
export async function issueCertificate(authority: TlsAuthority, cn: string, publicKeyPem: string, hosts: readonly string[] = []): Promise<string> {
  const x509 = await certificates();
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(authority.privateKey), ecdsa, false, ["sign"]);
  const publicKey = await publicKeyOf(x509, publicKeyPem);
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${checkedName(cn)}`, issuer: issuer.subject, serialNumber: serial(), notBefore, notAfter, publicKey, signingKey, signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([hosts.length > 0 ? serverAuth : clientAuth]),
      // Two authorities may have one name, after a site was set up again: the key tells them apart.
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(hosts.length > 0 ? [new x509.SubjectAlternativeNameExtension(hosts.map((host) => ({ type: isIP(host) === 0 ? "dns" : "ip", value: host })))] : []),
    ],
  });
  return certificate.toString("pem");
}

/** SHA-256 of a certificate's DER, 32 bytes, as the site record names the TLS authority. */
export function certificateDigest(pem: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(new NodeCertificate(pem).raw).digest());
}
