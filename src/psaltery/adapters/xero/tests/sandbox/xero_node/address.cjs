// Loaded before xero-node, whose hosts are fixed: calls to Xero's hosts go to the sandbox instead.
const http = require('http');
const https = require('https');

const sandbox = new URL(process.env.XERO_SANDBOX);
const hosts = ['identity.xero.com', 'api.xero.com', 'login.xero.com'];
const secure = https.request;

https.request = function (target, options, answered) {
  if (typeof target === 'string' || target instanceof URL) {
    const address = new URL(target);
    if (!hosts.includes(address.hostname)) return secure.apply(https, arguments);
    const redirected = new URL(address.pathname + address.search, sandbox);
    return http.request(redirected, { ...options, agent: undefined }, answered);
  }
  const host = target.hostname || target.host;
  if (!hosts.includes(host)) return secure.apply(https, arguments);
  return http.request({
    ...target, agent: undefined, agents: undefined, protocol: 'http:', host: sandbox.hostname,
    hostname: sandbox.hostname, port: sandbox.port,
  }, options);
};
