// What an app does with xero-node, from consent to a paid invoice. Prints what it saw as JSON.
const { XeroClient } = require('xero-node');

async function main() {
  const xero = new XeroClient({
    clientId: process.env.XERO_CLIENT_ID,
    clientSecret: process.env.XERO_CLIENT_SECRET,
    redirectUris: [process.env.XERO_REDIRECT],
    scopes: process.env.XERO_SCOPES.split(' '),
    state: 'a-state',
  });
  const consent = await xero.buildConsentUrl();
  const decision = '&sandbox_auto=allow&sandbox_orgs=' + process.env.XERO_TENANT
    + '&sandbox_user=' + process.env.XERO_USER;
  const answer = await fetch(consent + decision, { redirect: 'manual' });
  const tokens = await xero.apiCallback(answer.headers.get('location'));
  const claims = tokens.claims();
  await xero.refreshToken();
  const tenants = await xero.updateTenants();
  const tenant = tenants[0].tenantId;
  const api = xero.accountingApi;

  const line = { description: 'Support', quantity: 3, unitAmount: 33.3333, accountCode: '200' };
  const invoice = (number, account) => ({
    type: 'ACCREC', contact: { name: 'Acme' }, invoiceNumber: number, status: 'AUTHORISED',
    date: '2026-11-02', dueDate: '2026-11-16', lineItems: [{ ...line, accountCode: account }],
  });
  const made = await api.createInvoices(tenant,
    { invoices: [invoice('NODE-1', '200'), invoice('NODE-2', '999')] }, false, 4);
  const [good, bad] = made.body.invoices;
  const accounts = await api.getAccounts(tenant, undefined, 'Type=="BANK"');
  const paid = await api.createPayment(tenant, {
    invoice: { invoiceID: good.invoiceID }, amount: good.total, date: '2026-11-05',
    account: { accountID: accounts.body.accounts[0].accountID },
  });
  const listed = await api.getInvoices(tenant, undefined, undefined, undefined, undefined,
    undefined, undefined, ['PAID'], 1);
  let refused = '';
  try {
    await api.createInvoices(tenant, { invoices: [invoice('NODE-1', '200')] });
  } catch (error) {
    refused = JSON.stringify(error.response ? error.response.body : error.body || error);
  }
  await xero.revokeToken();
  console.log(JSON.stringify({
    email: claims.email, organisation: tenants[0].orgData.name, total: good.total,
    error: bad.validationErrors[0].message, payment: paid.body.payments[0].paymentType,
    paid: listed.body.invoices.map((i) => i.invoiceNumber), refused,
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
