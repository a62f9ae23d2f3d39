// sdk.authentication and the workspaces of the user.
import { client, credentials, failure, signIn } from '../ways.mjs';

const inADay = () => new Date(Date.now() + 86_400_000).toISOString();

export async function signin(sdk, hub) {
  const signedIn = await sdk.authentication.signin(credentials(hub));
  const wrong = await failure(() => sdk.authentication.signin({ ...credentials(hub), password: 'wrong' }));
  const [cookie] = signedIn.headers['set-cookie'].split(';');
  const byCookie = client(hub, { extraHeaders: async () => ({ cookie }) });
  return { signedIn, wrong, me: await byCookie.authentication.getLoggedInUser() };
}

export async function oAuthSignin(sdk, hub) {
  const signedIn = await sdk.authentication.oAuthSignin(credentials(hub));
  const me = await sdk.authentication.getLoggedInUser();
  const wrong = await failure(() => sdk.authentication.oAuthSignin({ ...credentials(hub), password: 'wrong' }));
  return { signedIn, me, wrong };
}

export async function me(sdk) {
  return await sdk.authentication.getLoggedInUser();
}

export async function nobody(sdk) {
  return await failure(() => sdk.authentication.getLoggedInUser());
}

export async function updateMe(sdk) {
  const before = await sdk.authentication.getLoggedInUser();
  const changed = await sdk.authentication.updateLoggedInUser({ firstName: 'Ada', lastName: 'Lovelace' });
  const { firstName, lastName } = before;
  const after = await sdk.authentication.updateLoggedInUser({ firstName, lastName });
  return { before, changed, after };
}

export async function refresh(sdk, hub) {
  const { payload: first } = await sdk.authentication.oAuthSignin(credentials(hub));
  const { payload: second } = await sdk.authentication.refreshToken();
  const me = await sdk.authentication.getLoggedInUser();
  const usedTwice = await failure(() => sdk.authentication.refreshToken(first.refreshToken));
  return { first, second, me, usedTwice };
}

export async function logout(sdk, hub) {
  const { payload } = await sdk.authentication.oAuthSignin(credentials(hub));
  const { status } = await sdk.authentication.logout();
  const afterwards = await failure(() => sdk.authentication.getLoggedInUser());
  const refreshed = await failure(() => sdk.authentication.refreshToken(payload.refreshToken));
  return { status, afterwards, refreshed };
}

export async function apiTokens(sdk, hub) {
  const account = sdk.authentication;
  const made = await account.createApiToken({ nickname: 'ci', expiresAt: inADay() });
  const listed = await account.listApiTokens();
  const other = client(hub);
  const me = await other.authentication.apiTokenSignin(made.token);
  const threads = await other.ai.threads.list({ limit: 1 });
  const deleted = await account.deleteApiToken(made.apiToken._id);
  const left = await account.listApiTokens();
  const afterwards = await failure(() => other.ai.threads.list());
  const deletedAgain = await failure(() => account.deleteApiToken(made.apiToken._id));
  return { made, listed, me, threads, deleted, left, afterwards, deletedAgain };
}

export async function apiTokenRefusals(sdk) {
  const { authentication } = sdk;
  const past = '2020-01-01T00:00:00.000Z';
  return {
    nickname: await failure(() => authentication.createApiToken({ expiresAt: inADay() })),
    expiresAt: await failure(() => authentication.createApiToken({ nickname: 'ci' })),
    past: await failure(() => authentication.createApiToken({ nickname: 'ci', expiresAt: past })),
  };
}

export async function tokensByToken(sdk) {
  return {
    list: await failure(() => sdk.authentication.listApiTokens()),
    create: await failure(() => sdk.authentication.createApiToken({ nickname: 'ci', expiresAt: inADay() })),
  };
}

export async function badToken(sdk) {
  return await failure(() => sdk.authentication.apiTokenSignin(`ql_${'0'.repeat(64)}`));
}

export async function signUp(sdk, { people: [first, second] }) {
  const signedUp = await sdk.authentication.signup(first);
  const withTokens = await sdk.authentication.oAuthSignup(second);
  const me = await sdk.authentication.getLoggedInUser();
  return { signedUp, withTokens, me, taken: await failure(() => sdk.authentication.signup(first)) };
}

// An access token that is no good any more, with a refresh token and forceRefresh: the client helps itself.
export async function expiredAccessToken(_, hub) {
  const { refreshToken } = await signIn(hub);
  const sdk = client(hub, { accessToken: 'expired', refreshToken, forceRefresh: true });
  const me = await sdk.authentication.getLoggedInUser();
  return { me, requests: sdk.requests };
}

export async function workspaces(sdk) {
  return await sdk.workspaces.getList();
}
