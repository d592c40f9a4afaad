// An application that leaves signing in to the ready-made pages of the official React client, and links accounts by its hooks.
import { Suspense } from 'react';
import { createRoot } from 'react-dom/client';
import { StackClientApp, StackHandler, StackProvider, StackTheme, useStackApp, useUser } from 'react-2.8.108';

const app = new StackClientApp({
  ...window.settings,
  tokenStore: 'cookie',
  redirectMethod: 'window',
  urls: { default: { type: 'handler-component' }, home: '/', afterSignIn: '/', afterSignUp: '/welcome' },
  analytics: { enabled: false },
  devTool: false,
});

function Account({ account }) {
  const { status, data } = account.useAccessToken();
  return (
    <li>
      {account.provider} <code data-account={account.providerAccountId}>{status === 'ok' ? data.accessToken : 'no access'}</code>
    </li>
  );
}

function Home() {
  const stack = useStackApp();
  const user = useUser();
  if (!user) return <button onClick={() => stack.redirectToSignIn()}>Sign in</button>;
  const accounts = user.useConnectedAccounts();
  return (
    <main>
      <h1>{user.displayName}</h1>
      <p id="user">{user.id}</p>
      <p>{user.primaryEmail}</p>
      <ul>
        {accounts.map((account) => (
          <Account key={account.providerAccountId} account={account} />
        ))}
      </ul>
      <button onClick={() => user.linkConnectedAccount('acme')}>Link Acme</button>
      <button onClick={() => user.signOut()}>Sign out</button>
    </main>
  );
}

createRoot(document.getElementById('root')).render(
  <StackProvider app={app}>
    <StackTheme>
      <Suspense fallback={<p>One moment…</p>}>
        {window.location.pathname.startsWith('/handler') ? <StackHandler fullPage location={window.location.pathname} /> : <Home />}
      </Suspense>
    </StackTheme>
  </StackProvider>,
);
