import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import t from "tap";
import { certificateDigest, createTlsAuthority, createTlsKeys, issueCertificate } from "../../agent/mqtt/tls.ts";

const authority = await createTlsAuthority("acme");
const keys = await createTlsKeys();

void t.test("an authority: itself its issuer, may sign, for ever", (c) => {
  const ca = new X509Certificate(authority.certificate);
  c.equal(ca.subject, "CN=acme TLS authority");
  c.ok(ca.ca && ca.checkIssued(ca) && ca.verify(ca.publicKey));
  c.ok(ca.checkPrivateKey(createPrivateKey(authority.privateKey)));
  c.match(ca.publicKey.asymmetricKeyDetails, { namedCurve: "prime256v1" });
  c.equal(Buffer.from(certificateDigest(authority.certificate)).toString("hex"), createHash("sha256").update(ca.raw).digest("hex"));
  c.end();
});

void t.test("a certificate is valid on a Pi that wakes in 1970, and never ends by a clock", async (c) => {
  for (const pem of [authority.certificate, await issueCertificate(authority, "box-1", keys.publicKey)]) {
    const certificate = new X509Certificate(pem);
    c.equal(certificate.validFrom, "Jan  1 00:00:00 1970 GMT");
    c.equal(certificate.validTo, "Dec 31 23:59:59 9999 GMT");
    // RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime 99991231235959Z for "no well-defined end".
    const validity = Buffer.concat([Buffer.from([0x17, 13]), Buffer.from("700101000000Z"), Buffer.from([0x18, 15]), Buffer.from("99991231235959Z")]);
    c.ok(certificate.raw.includes(validity));
  }
});

void t.test("a client's and a broker's certificate", async (c) => {
  const ca = new X509Certificate(authority.certificate);
  const box = new X509Certificate(await issueCertificate(authority, "box-1", keys.publicKey));
  c.equal(box.subject, "CN=box-1");
  c.ok(box.checkIssued(ca) && box.verify(ca.publicKey) && !box.ca && box.checkPrivateKey(createPrivateKey(keys.privateKey)));
  c.same([box.keyUsage, box.subjectAltName], [["1.3.6.1.5.5.7.3.2"], undefined]);
  const broker = new X509Certificate(await issueCertificate(authority, "broker", keys.publicKey, ["10.1.2.3", "fe80::1", "broker.example"]));
  c.same(broker.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  c.equal(broker.subjectAltName, "IP Address:10.1.2.3, IP Address:FE80:0:0:0:0:0:0:1, DNS:broker.example");
  const namesake = new X509Certificate((await createTlsAuthority("acme")).certificate);
  c.notOk(box.checkIssued(namesake), "another authority of the same name is told apart by its key");
});

void t.test("serial numbers are positive, of one length, and differ", async (c) => {
  const serials = await Promise.all(Array.from({ length: 40 }, async () => new X509Certificate(await issueCertificate(authority, "box-1", keys.publicKey)).serialNumber));
  c.equal(new Set(serials).size, 40);
  for (const serial of serials) c.match(serial, /^[4-7][0-9A-F]{31}$/);
});

void t.test("what cannot be a name or a P-256 key is refused by name", async (c) => {
  for (const name of ["", "box-1,CN=coordinator", "Box", "box 1", "b".repeat(33), "a+CN=b"]) {
    await c.rejects(issueCertificate(authority, name, keys.publicKey), { code: "NAME_INVALID" }, name);
    await c.rejects(createTlsAuthority(name), { code: "NAME_INVALID" }, name);
  }
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export({ type: "spki", format: "pem" }).toString();
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "pem" }).toString();
  for (const pem of ["", "nonsense", keys.privateKey, authority.certificate, p384, rsa]) await c.rejects(issueCertificate(authority, "box-1", pem), { code: "TLS_INVALID" });
});
