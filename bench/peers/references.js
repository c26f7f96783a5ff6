// What is said in the clips. The address: the President's Radio Address of November 1, 2008, in the words of the recording.

export const REFERENCES = {
  jfk: 'And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.',
  address: `
    Good morning. This Tuesday is Election Day. After months of spirited debate and vigorous campaigning, the time has come for Americans to make
    important decisions about our nation's future. I encourage all Americans to go to the polls and vote.

    Election season brings out the spirit of competition between our political parties. And that competition is an essential part of a healthy
    democracy. But as the campaigns come to a close, Republicans, Democrats, and independents can find common ground on at least one point: Our system
    of representative democracy is one of America's greatest strengths.

    The United States was founded on the belief that all men are created equal. Every Election Day, millions of Americans of all races, religions, and
    backgrounds step into voting booths throughout the nation. Whether they are rich or poor, old or young, each of them has an equal share in choosing
    the path that our country will take. And every ballot they cast is a reminder that our founding principles are alive and well.

    Voting is one of the great privileges of American citizenship. And it has always required brave defenders. As you head to the polls next week,
    remember the sacrifices that have been made by generations of Americans in uniform to preserve our way of life. From Bunker Hill to Baghdad, the men
    and women of American Armed Forces have been devoted guardians of our democracy. All of us owe them and their families a special debt of gratitude
    on Election Day.

    Americans should also remember the important example that our elections set throughout the world. Young democracies from Georgia and Ukraine to
    Afghanistan and Iraq can look to the United States for proof that self-government can endure. And nations that still live under tyranny and
    oppression can find hope and inspiration in our commitment to liberty.

    For more than two centuries, Americans have demonstrated the ability of free people to choose their own leaders. Our nation has flourished because
    of its commitment to trusting the wisdom of our citizenry. In this year's election, we will see this tradition continue, and we will be reminded
    once again that we are blessed to live in a free nation guided by the will of the people.

    Thank you for listening.`,
};
