export { type OAuthBrokerOptions, oauthBroker } from './oauth-broker.ts';
