/**
 * Countries: capital, continent, currency, most widely used official language. A field is left out where it is
 * disputed, about to change, or would make a bad question.
 */
import { parseTable } from "./table.ts";

export const countries = parseTable(
  ["country", "capital", "continent", "currency", "language"],
  `
Albania | Tirana | Europe | lek | Albanian
Austria | Vienna | Europe | euro | German
Belarus | Minsk | Europe | - | -
Belgium | Brussels | Europe | euro | Dutch
Bulgaria | Sofia | Europe | - | Bulgarian
Croatia | Zagreb | Europe | euro | Croatian
Czechia | Prague | Europe | koruna | Czech
Denmark | Copenhagen | Europe | krone | Danish
Estonia | Tallinn | Europe | euro | Estonian
Finland | Helsinki | Europe | euro | Finnish
France | Paris | Europe | euro | French
Germany | Berlin | Europe | euro | German
Greece | Athens | Europe | euro | Greek
Hungary | Budapest | Europe | forint | Hungarian
Iceland | Reykjavik | Europe | krona | Icelandic
Ireland | Dublin | Europe | euro | English
Italy | Rome | Europe | euro | Italian
Latvia | Riga | Europe | euro | Latvian
Lithuania | Vilnius | Europe | euro | Lithuanian
Malta | Valletta | Europe | euro | -
Moldova | Chisinau | Europe | leu | Romanian
Montenegro | Podgorica | Europe | euro | -
the Netherlands | Amsterdam | Europe | euro | Dutch
Norway | Oslo | Europe | krone | Norwegian
Poland | Warsaw | Europe | zloty | Polish
Portugal | Lisbon | Europe | euro | Portuguese
Romania | Bucharest | Europe | leu | Romanian
Russia | Moscow | - | ruble | Russian
Serbia | Belgrade | Europe | dinar | Serbian
Slovakia | Bratislava | Europe | euro | Slovak
Slovenia | Ljubljana | Europe | euro | Slovene
Spain | Madrid | Europe | euro | Spanish
Sweden | Stockholm | Europe | krona | Swedish
Switzerland | Bern | Europe | franc | German
Ukraine | Kyiv | Europe | hryvnia | Ukrainian
the United Kingdom | London | Europe | pound | English
Armenia | Yerevan | - | dram | Armenian
Azerbaijan | Baku | - | manat | -
Georgia | Tbilisi | - | lari | Georgian
Turkey | Ankara | - | lira | Turkish
Afghanistan | Kabul | Asia | afghani | -
Bangladesh | Dhaka | Asia | taka | Bengali
Bhutan | Thimphu | Asia | ngultrum | -
Cambodia | Phnom Penh | Asia | riel | Khmer
China | Beijing | Asia | yuan | Mandarin
India | New Delhi | Asia | rupee | Hindi
Indonesia | - | Asia | rupiah | Indonesian
Iran | Tehran | Asia | rial | Persian
Iraq | Baghdad | Asia | dinar | Arabic
Japan | Tokyo | Asia | yen | Japanese
Jordan | Amman | Asia | dinar | Arabic
Kazakhstan | Astana | Asia | tenge | -
Kyrgyzstan | Bishkek | Asia | som | Kyrgyz
Laos | Vientiane | Asia | kip | Lao
Lebanon | Beirut | Asia | pound | Arabic
Malaysia | Kuala Lumpur | Asia | ringgit | Malay
Mongolia | Ulaanbaatar | Asia | tugrik | Mongolian
Myanmar | Naypyidaw | Asia | kyat | Burmese
Nepal | Kathmandu | Asia | rupee | Nepali
North Korea | Pyongyang | Asia | won | Korean
Oman | Muscat | Asia | rial | Arabic
Pakistan | Islamabad | Asia | rupee | Urdu
the Philippines | Manila | Asia | peso | Filipino
Qatar | Doha | Asia | riyal | Arabic
Saudi Arabia | Riyadh | Asia | riyal | Arabic
South Korea | Seoul | Asia | won | Korean
Sri Lanka | - | Asia | rupee | Sinhala
Syria | Damascus | Asia | pound | Arabic
Tajikistan | Dushanbe | Asia | somoni | Tajik
Thailand | Bangkok | Asia | baht | Thai
Turkmenistan | Ashgabat | Asia | manat | Turkmen
Uzbekistan | Tashkent | Asia | sum | Uzbek
Vietnam | Hanoi | Asia | dong | Vietnamese
Yemen | Sanaa | Asia | rial | Arabic
Algeria | Algiers | Africa | dinar | Arabic
Angola | Luanda | Africa | kwanza | Portuguese
Botswana | Gaborone | Africa | pula | -
Burkina Faso | Ouagadougou | Africa | franc | -
Cameroon | Yaounde | Africa | franc | French
Egypt | Cairo | Africa | pound | Arabic
Eritrea | Asmara | Africa | nakfa | -
Ethiopia | Addis Ababa | Africa | birr | Amharic
Gabon | Libreville | Africa | franc | French
Ghana | Accra | Africa | cedi | English
Guinea | Conakry | Africa | franc | French
Kenya | Nairobi | Africa | shilling | Swahili
Liberia | Monrovia | Africa | - | English
Libya | Tripoli | Africa | dinar | Arabic
Madagascar | Antananarivo | Africa | ariary | Malagasy
Malawi | Lilongwe | Africa | kwacha | -
Mali | Bamako | Africa | franc | -
Mauritania | Nouakchott | Africa | ouguiya | Arabic
Morocco | Rabat | Africa | dirham | Arabic
Mozambique | Maputo | Africa | metical | Portuguese
Namibia | Windhoek | Africa | - | English
Niger | Niamey | Africa | franc | -
Nigeria | Abuja | Africa | naira | English
Rwanda | Kigali | Africa | franc | -
Senegal | Dakar | Africa | franc | French
Sierra Leone | Freetown | Africa | - | English
Somalia | Mogadishu | Africa | shilling | Somali
Sudan | Khartoum | Africa | pound | Arabic
Tanzania | Dodoma | Africa | shilling | Swahili
Togo | Lome | Africa | franc | French
Tunisia | Tunis | Africa | dinar | Arabic
Uganda | Kampala | Africa | shilling | -
Zambia | Lusaka | Africa | kwacha | English
Zimbabwe | Harare | Africa | - | -
Canada | Ottawa | North America | dollar | English
Costa Rica | San Jose | North America | colon | Spanish
Cuba | Havana | North America | peso | Spanish
the Dominican Republic | Santo Domingo | North America | peso | Spanish
El Salvador | San Salvador | North America | - | Spanish
Guatemala | Guatemala City | North America | quetzal | Spanish
Haiti | Port-au-Prince | North America | gourde | Haitian Creole
Honduras | Tegucigalpa | North America | lempira | Spanish
Jamaica | Kingston | North America | dollar | English
Mexico | Mexico City | North America | peso | Spanish
Nicaragua | Managua | North America | cordoba | Spanish
Panama | Panama City | North America | balboa | Spanish
the United States | Washington | North America | dollar | English
Argentina | Buenos Aires | South America | peso | Spanish
Bolivia | - | South America | boliviano | Spanish
Brazil | Brasilia | South America | real | Portuguese
Chile | Santiago | South America | peso | Spanish
Colombia | Bogota | South America | peso | Spanish
Ecuador | Quito | South America | dollar | Spanish
Guyana | Georgetown | South America | dollar | English
Paraguay | Asuncion | South America | guarani | -
Peru | Lima | South America | sol | Spanish
Suriname | Paramaribo | South America | dollar | Dutch
Uruguay | Montevideo | South America | peso | Spanish
Venezuela | Caracas | South America | bolivar | Spanish
Australia | Canberra | Oceania | dollar | English
Fiji | Suva | Oceania | dollar | -
New Zealand | Wellington | Oceania | dollar | English
Papua New Guinea | Port Moresby | Oceania | kina | -
Samoa | Apia | Oceania | tala | Samoan
the Solomon Islands | Honiara | Oceania | dollar | -
Vanuatu | Port Vila | Oceania | vatu | -
`,
);
