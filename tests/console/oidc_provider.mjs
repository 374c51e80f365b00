// A real OpenID provider (npm oidc-provider) on a port of this machine: node oidc_provider.mjs PORT REDIRECT_URI
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const require = createRequire(new URL("../../bench/", import.meta.url));
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));
const [port, redirect] = process.argv.slice(2);
const people = {
  mia: { email: "mia@experts.test", email_verified: true, name: "Mia Lang", preferred_username: "Mia.Lang", groups: ["soc-experts"] },
  eve: { email: "eve@experts.test", email_verified: false, name: "Eve", groups: [] },
  ben: { email: "ben@experts.test", email_verified: true, name: "Ben", groups: ["contoso-sec", "others"] },
};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "console", client_secret: "canary-client-secret", redirect_uris: [redirect] }],
  claims: { openid: ["sub", "groups"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ["a test"] },
  ttl: { Session: 600, Grant: 600, Interaction: 600, AccessToken: 600, IdToken: 600 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
