import "reflect-metadata";
import { createHash, webcrypto, X509Certificate as NodeCertificate } from "node:crypto";
import * as x509 from "@peculiar/x509";

/**
 * Certificates for mutual TLS under a software authority of the coordinator: the broker and its TLS are
 * not in the trust base. They are valid because the site record names them and end when it stops, not by
 * a clock: a Pi that wakes in 1970 must still connect (design §4).
 */
const notBefore = new Date("1970-01-01T00:00:00Z");
const notAfter = new Date("9999-12-31T23:59:59Z");
const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

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

async function pemOf(keys: webcrypto.CryptoKeyPair): Promise<TlsKeyPair> {
  const [pkcs8, spki] = await Promise.all([webcrypto.subtle.exportKey("pkcs8", keys.privateKey), webcrypto.subtle.exportKey("spki", keys.publicKey)]);
  return { privateKey: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"), publicKey: x509.PemConverter.encode(spki, "PUBLIC KEY") };
}

function generate(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);
}

/** A fresh P-256 key pair for TLS. */
export async function createTlsKeys(): Promise<TlsKeyPair> {
  return await pemOf(await generate());
}

function serial(): string {
  return Buffer.from(webcrypto.getRandomValues(new Uint8Array(16))).toString("hex");
}

export async function createTlsAuthority(site: string): Promise<TlsAuthority> {
  const keys = await generate();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${site} TLS authority`, serialNumber: serial(), notBefore, notAfter, keys, signingAlgorithm: ecdsa,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true)],
  });
  const { privateKey } = await pemOf(keys);
  return { certificate: certificate.toString("pem"), privateKey };
}

/** A certificate for `cn` over a PEM public key; `hosts` are the names and addresses of a broker. */
export async function issueCertificate(authority: TlsAuthority, cn: string, publicKeyPem: string, hosts: readonly string[] = []): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(authority.privateKey), ecdsa, false, ["sign"]);
  const publicKey = await webcrypto.subtle.importKey("spki", x509.PemConverter.decodeFirst(publicKeyPem), ecdsa, true, ["verify"]);
  const names = hosts.map((host) => ({ type: /^[\d.]+$|:/.test(host) ? "ip" as const : "dns" as const, value: host }));
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${cn}`, issuer: issuer.subject, serialNumber: serial(), notBefore, notAfter, publicKey, signingKey, signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([names.length > 0 ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return certificate.toString("pem");
}

/** SHA-256 of a certificate's DER, as the site record names the TLS authority. */
export function certificateDigest(pem: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(new NodeCertificate(pem).raw).digest());
}
