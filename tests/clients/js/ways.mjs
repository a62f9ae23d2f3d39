// The ways to open the client, and what the scenarios share.
import QelosSDK from '@qelos/sdk';
import QelosAdministratorSDK from '@qelos/sdk/administrator';

export const credentials = (hub) => ({ username: hub.username, password: hub.password });

// Tokens of the demo user, by a plain request.
export async function signIn(hub) {
  const response = await fetch(`${hub.url}/api/signin`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...credentials(hub), authType: 'oauth' }),
  });
  return (await response.json()).payload;
}

// A client on the hub. Every request that it sends is kept in `sdk.requests` as [method, path with query].
export function client(hub, options = {}, Client = QelosSDK) {
  const requests = [];
  const recordingFetch = (url, init) => {
    requests.push([(init?.method ?? 'GET').toUpperCase(), url.slice(hub.url.length)]);
    return fetch(url, init);
  };
  return Object.assign(new Client({ appUrl: hub.url, fetch: recordingFetch, ...options }), { requests });
}

export const administrator = (hub) => client(hub, { apiToken: hub.api_key }, QelosAdministratorSDK);

export async function open(hub, way) {
  const forceRefresh = way.endsWith('forceRefresh');
  if (way === 'nobody') return client(hub);
  if (way.startsWith('api key')) return client(hub, { apiToken: hub.api_key, forceRefresh });
  if (way === 'refresh token only') return client(hub, { refreshToken: (await signIn(hub)).refreshToken });
  if (way === 'access token only') return client(hub, { accessToken: (await signIn(hub)).token });
  const sdk = client(hub, { forceRefresh });
  await sdk.authentication.oAuthSignin(credentials(hub));
  return sdk;
}

// The message and details of the error that a call fails with.
export async function failure(call) {
  try {
    await call();
  } catch (error) {
    return { message: error.message, details: error.details ?? null };
  }
  throw new Error('this call was expected to fail');
}

export async function collect(chunks) {
  const all = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

export const ask = (...texts) => ({ messages: texts.map((content) => ({ role: 'user', content })) });
